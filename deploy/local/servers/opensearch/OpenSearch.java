import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One OpenSearch node on this machine's loopback, until SIGTERM: OpenSearch.java DIRECTORY PORT TRANSPORT-PORT */
public class OpenSearch {
  public static void main(String[] args) throws Exception {
    try {
      start(args[0], args[1], args[2]);
    } catch (Exception e) {
      e.printStackTrace();
      System.exit(1); // its threads would live on
    }
    new CountDownLatch(1).await();
  }

  static void start(String directory, String port, String transport) {
    OpenSearchRunner node = new OpenSearchRunner();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
    node.onBuild((number, settings) -> {
      settings.put("http.host", "127.0.0.1");
      settings.put("http.port", port);
      settings.put("transport.host", "127.0.0.1");
      settings.put("transport.port", transport);
    }).build(OpenSearchRunner.newConfigs().basePath(directory).numOfNode(1).clusterName("weir").useLogger());
  }

  static void close(OpenSearchRunner node) {
    try {
      node.close();
    } catch (Exception e) {
      e.printStackTrace();
    }
  }
}
