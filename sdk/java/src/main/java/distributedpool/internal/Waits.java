package distributedpool.internal;

import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Waits that an interrupt ends. */
public final class Waits {
  private static final ExecutorService THREADS =
      Executors.newCachedThreadPool(run -> {
        Thread thread = new Thread(run, "distributed-pool-call");
        thread.setDaemon(true);
        return thread;
      });

  /** Work that an interrupt ends. */
  public interface Work<T> {
    T run() throws InterruptedException;
  }

  private Waits() {}

  /** The result of the work. @throws CancellationException when the thread is interrupted */
  public static <T> T interruptibly(Work<T> work) {
    try {
      if (Thread.interrupted()) throw new InterruptedException();
      return work.run();
    } catch (InterruptedException interrupt) {
      Thread.currentThread().interrupt();
      CancellationException cancelled = new CancellationException("the thread was interrupted");
      cancelled.initCause(interrupt);
      throw cancelled;
    }
  }

  /** The work on a thread of its own. To cancel the future interrupts it. */
  public static <T> CompletableFuture<T> async(Work<T> work) {
    Running<T> future = new Running<>();
    future.task = THREADS.submit(() -> {
      try {
        future.complete(work.run());
      } catch (InterruptedException interrupt) {
        future.completeExceptionally(new CancellationException("the call was cancelled"));
      } catch (RuntimeException | Error error) {
        future.completeExceptionally(error);
      }
    });
    return future;
  }

  private static final class Running<T> extends CompletableFuture<T> {
    private volatile Future<?> task;

    @Override
    public boolean cancel(boolean mayInterrupt) {
      boolean isCancelled = super.cancel(mayInterrupt);
      if (isCancelled) task.cancel(true);
      return isCancelled;
    }
  }
}
