package distributedpool;

import com.fasterxml.jackson.databind.node.ObjectNode;
import distributedpool.internal.http.Errors;
import distributedpool.internal.http.Json;
import distributedpool.model.ChildReference;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;
import java.util.function.Function;

/** Receives the output of a call while its events are read to their end. */
final class Output {
  /** 1 MiB of stdout, and of stderr, that `run` keeps. */
  private static final int MAX_BYTES = 1_048_576;

  /** The beginning of what a child wrote. */
  private static final class Kept extends OutputStream {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private boolean isTruncated;

    @Override
    public void write(int one) {
      write(new byte[] {(byte) one}, 0, 1);
    }

    @Override
    public void write(byte[] from, int offset, int length) {
      int room = Math.min(length, MAX_BYTES - bytes.size());
      bytes.write(from, offset, room);
      isTruncated |= room < length;
    }

    String text() {
      return bytes.toString(StandardCharsets.UTF_8);
    }
  }

  private final OutputStream stdout;
  private final OutputStream stderr;
  private final Consumer<PoolEvent.Progress> onProgress;

  private Output(OutputStream out, OutputStream err, Consumer<PoolEvent.Progress> onProgress) {
    this.stdout = out;
    this.stderr = err;
    this.onProgress = onProgress;
  }

  /** Keeps the output. */
  static Output kept() {
    return new Output(new Kept(), new Kept(), progress -> {});
  }

  /** Copies the output; null drops it. */
  static Output to(OutputStream out, OutputStream err, Consumer<PoolEvent.Progress> onProgress) {
    return new Output(out, err, onProgress);
  }

  /**
   * Reads the events to their end.
   *
   * @throws PoolException the problem of a failed child, with the child; {@code events_expired}
   *     when output was lost that someone reads
   */
  Result read(EventStream.Source events, Function<String, Child> childOf)
      throws InterruptedException {
    ChildReference child = null;
    long dropped = 0;
    try {
      for (; ; ) {
        PoolEvent event = events.next();
        if (event instanceof PoolEvent.Placed placed) child = placed.child();
        else if (event instanceof PoolEvent.Stdout out) write(stdout, out.bytes());
        else if (event instanceof PoolEvent.Stderr err) write(stderr, err.bytes());
        else if (event instanceof PoolEvent.Progress progress) onProgress.accept(progress);
        else if (event instanceof PoolEvent.Gap gap) dropped += gap.droppedBytes();
        else if (event instanceof PoolEvent.Failed failed) throw failed.error();
        else if (event instanceof PoolEvent.Result result) {
          if (dropped > 0 && (stdout != null || stderr != null)) throw lost(dropped);
          return of(result, childOf.apply(child == null ? "" : child.id()));
        } else if (event == null)
          throw PoolException.of("member_lost", "the stream ended before its terminal event");
      }
    } catch (PoolException error) {
      throw child == null ? error : Errors.with(fields(child), error);
    }
  }

  private Result of(PoolEvent.Result result, Child child) {
    return new Result(
        child,
        result.value(),
        result.exitCode(),
        text(stdout),
        text(stderr),
        isTruncated(),
        result.usage(),
        result.artifacts());
  }

  /** The fields that tell of a child that failed. */
  private ObjectNode fields(ChildReference child) {
    ObjectNode fields = Json.object();
    fields.set("child", Json.node(child));
    if (!(stdout instanceof Kept)) return fields;
    fields.put("stdout", text(stdout)).put("stderr", text(stderr));
    return fields.put("truncated", isTruncated());
  }

  private boolean isTruncated() {
    return stdout instanceof Kept out && stderr instanceof Kept err
        && (out.isTruncated || err.isTruncated);
  }

  private static String text(OutputStream stream) {
    return stream instanceof Kept kept ? kept.text() : "";
  }

  private static PoolException lost(long dropped) {
    String detail = "the child has ended, and " + dropped + " bytes of its output were lost";
    return PoolException.of("events_expired", detail, PoolException.Admitted.TRUE, null);
  }

  /** A closed stream takes no bytes. */
  private static void write(OutputStream stream, byte[] bytes) {
    if (stream == null) return;
    try {
      stream.write(bytes);
      stream.flush();
    } catch (IOException closed) {
      // The child goes on, as with a pipe whose reader only wants the beginning.
      return;
    }
  }
}
