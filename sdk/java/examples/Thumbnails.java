import distributedpool.DistributedPool;
import distributedpool.Result;
import distributedpool.Spec;
import distributedpool.model.Artifact;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/**
 * Sends a film to the least loaded member, where ffmpeg makes ten thumbnails of it, and writes them
 * into a folder.
 *
 * <pre>java -cp 'sdk/java/target/classes:sdk/java/target/lib/*' sdk/java/examples/Thumbnails.java
 *     [URL of a member] [film] [folder]</pre>
 */
public final class Thumbnails {
  private Thumbnails() {}

  public static void main(String[] args) throws Exception {
    String url = args.length > 0 ? args[0] : "http://127.0.0.1:7400";
    Path film = Path.of(args.length > 1 ? args[1] : "examples/thumbnails/birds.mp4");
    Path folder = Files.createDirectories(Path.of(args.length > 2 ? args[2] : "thumbnails"));
    // The child starts in its private workspace. The filter selects every third of the 31 frames.
    String script =
        "mkdir out && ffmpeg -v error -i film.mp4 -vf \"select='not(mod(n,3))',scale=320:-1\" "
            + "-fps_mode passthrough -frames:v 10 out/%02d.png";
    Spec spec = Spec.command("sh", "-c", script).file("film.mp4", film).artifacts("out/*.png");
    try (DistributedPool pool = DistributedPool.at(url)) {
      Result result = pool.call("pipeline", spec);
      for (Artifact image : result.artifacts())
        try (InputStream bytes = result.file(image.path())) {
          Path target = folder.resolve(Path.of(image.path()).getFileName());
          Files.copy(bytes, target, StandardCopyOption.REPLACE_EXISTING);
        }
      String member = result.child().info().member();
      System.out.printf("%s made %d thumbnails in %s%n", member, result.artifacts().size(), folder);
    }
  }
}
