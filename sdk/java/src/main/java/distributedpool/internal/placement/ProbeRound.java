package distributedpool.internal.placement;

import distributedpool.internal.consul.Member;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** One question for their load to several members at once, without waiting for the slow ones. */
final class ProbeRound implements AutoCloseable {
  /** Once half of the members have answered, the others have as much time again, at least 10 ms. */
  private static final long HEDGE_NANOS = 10_000_000;
  private static final ExecutorService THREADS =
      Executors.newCachedThreadPool(run -> {
        Thread thread = new Thread(run, "distributed-pool-probe");
        thread.setDaemon(true);
        return thread;
      });

  /** Asks a member for its load. */
  interface Probe {
    Load load(Member member, long timeoutMs) throws Exception;
  }

  /** The load that a member told. */
  record Probed(Member member, Load load) {}

  private record Done(Member member, Load load, Exception error) {}

  /** The error of the last member that failed; null for none. */
  Exception lastError;

  private final BlockingQueue<Done> done = new LinkedBlockingQueue<>();
  private final List<Future<?>> asking = new ArrayList<>();
  private final List<Member> pending;
  private final int count;
  private final long startedAt = System.nanoTime();
  private final long endsAt;
  private List<Probed> answered = new ArrayList<>();
  private boolean hasFree;

  ProbeRound(List<Member> members, long timeoutMs, Probe probe) {
    pending = new ArrayList<>(members);
    count = members.size();
    endsAt = startedAt + timeoutMs * 1_000_000;
    for (Member member : members) asking.add(THREADS.submit(() -> ask(member, timeoutMs, probe)));
  }

  private void ask(Member member, long timeoutMs, Probe probe) {
    try {
      done.add(new Done(member, probe.load(member, timeoutMs), null));
    } catch (Exception error) {
      done.add(new Done(member, null, error));
    }
  }

  /** The answers of the quick members; of all where the quick ones have no free slot. */
  List<Probed> early() throws InterruptedException {
    while (!(hasFree && (count - pending.size()) * 2 >= count) && take(endsAt)) {}
    long elapsed = System.nanoTime() - startedAt;
    long until = Math.min(endsAt, System.nanoTime() + Math.max(HEDGE_NANOS, elapsed));
    while (take(until)) {}
    return taken();
  }

  /** The answers that came later. */
  List<Probed> late() throws InterruptedException {
    while (take(endsAt)) {}
    return taken();
  }

  /** The members that have not answered in time. */
  List<Member> slow() {
    return pending;
  }

  @Override
  public void close() {
    for (Future<?> each : asking) each.cancel(true);
  }

  private boolean take(long until) throws InterruptedException {
    if (pending.isEmpty()) return false;
    Done next = done.poll(Math.max(0, until - System.nanoTime()), TimeUnit.NANOSECONDS);
    if (next == null) return false;
    boolean isLate = next.error instanceof java.net.http.HttpTimeoutException;
    if (next.error != null) lastError = next.error;
    if (isLate && System.nanoTime() < endsAt) return true;
    if (isLate) return false;
    pending.remove(next.member);
    if (next.load == null) return true;
    answered.add(new Probed(next.member, next.load));
    hasFree |= next.load.isFree();
    return true;
  }

  private List<Probed> taken() {
    List<Probed> list = answered;
    answered = new ArrayList<>();
    return list;
  }
}
