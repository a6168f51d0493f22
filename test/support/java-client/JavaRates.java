import com.alibaba.fastjson2.JSONObject;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** How fast the official client is, with its own ways of being fast: batches, one in flight per queue, and lite pull. Answers records, ms and cpuMs. */
class JavaRates {
    private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    static JSONObject send(DefaultMQProducer producer, JSONObject request) throws Exception {
        String topic = request.getString("topic");
        int batchSize = request.getIntValue("batchSize");
        int batchesPerQueue = request.getIntValue("batchesPerQueue");
        byte[] body = new byte[request.getIntValue("bodyBytes")];
        Arrays.fill(body, (byte) 'x');
        List<MessageQueue> queues = producer.fetchPublishMessageQueues(topic);
        ExecutorService threads = Executors.newFixedThreadPool(queues.size());
        try {
            return timed(() -> {
                List<Future<?>> ends = new ArrayList<>();
                for (MessageQueue queue : queues) ends.add(threads.submit(() -> {
                    for (int i = 0; i < batchesPerQueue; i++) producer.send(batch(topic, body, batchSize), queue);
                    return null;
                }));
                for (Future<?> end : ends) end.get();
                return (long) queues.size() * batchesPerQueue * batchSize;
            });
        } finally {
            threads.shutdown();
        }
    }

    static JSONObject pull(String nameServers, JSONObject request) throws Exception {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer("java-client-" + System.nanoTime());
        consumer.setNamesrvAddr(nameServers);
        consumer.setAutoCommit(false);
        consumer.setPullBatchSize(1024);
        // Its defaults make it wait before it fetches more than a thousand messages of a queue ahead.
        consumer.setPullThresholdForQueue(10_000);
        consumer.setPullThresholdForAll(100_000);
        consumer.start();
        try {
            List<MessageQueue> queues = new ArrayList<>(consumer.fetchMessageQueues(request.getString("topic")));
            return timed(() -> {
                consumer.assign(queues);
                for (MessageQueue queue : queues) consumer.seekToBegin(queue);
                long count = 0;
                while (count < request.getLongValue("count")) {
                    for (MessageExt message : consumer.poll(1_000)) if (message.getBody().length > 0) count++;
                }
                return count;
            });
        } finally {
            consumer.shutdown();
        }
    }

    private static List<Message> batch(String topic, byte[] body, int size) {
        List<Message> messages = new ArrayList<>(size);
        for (int i = 0; i < size; i++) {
            Message message = new Message(topic, body);
            message.putUserProperty("rmqc.id", "k3x9abcdefghijklmnop.2n9c");
            messages.add(message);
        }
        return messages;
    }

    private static JSONObject timed(Callable<Long> work) throws Exception {
        long cpu = SYSTEM.getProcessCpuTime();
        long start = System.nanoTime();
        long records = work.call();
        double ms = (System.nanoTime() - start) / 1e6;
        return JSONObject.of("records", records, "ms", ms, "cpuMs", (SYSTEM.getProcessCpuTime() - cpu) / 1e6);
    }
}
