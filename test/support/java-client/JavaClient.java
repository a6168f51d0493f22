import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONArray;
import com.alibaba.fastjson2.JSONObject;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.compression.CompressionType;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * The official client as a child process: one JSON request a line on stdin, one JSON answer a line on stdout. Argument: name servers.
 *
 *   {"command": "produce", "topic", "messages": [{"body" (base64), "keys", "tags", "properties", "delayMs"}], "batch", "compression"}
 *   {"command": "consume", "topic", "count", "timeoutMs"}: from the beginning of all queues, until so many messages came
 *   {"command": "dump", "topic", "file", "timeoutMs"}: all that is in the topic now into a file, one message a line: queue, offset, body (base64)
 *   {"command": "sendRate", "topic", "bodyBytes", "batchSize", "batchesPerQueue"}, {"command": "pullRate", "topic", "count"}: see JavaRates
 */
public class JavaClient {
    private static String nameServers;
    private static DefaultMQProducer producer;

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = System.out;
        System.setOut(System.err); // What the client prints is no answer.
        nameServers = arguments[0];
        producer = new DefaultMQProducer("java-client");
        producer.setNamesrvAddr(nameServers);
        producer.setSendMsgTimeout(10_000);
        producer.start();
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            JSONObject answer;
            try {
                answer = answer(JSON.parseObject(line));
            } catch (Exception error) {
                answer = JSONObject.of("error", error.toString());
            }
            answers.write((answer.toString() + "\n").getBytes(StandardCharsets.UTF_8));
            answers.flush();
        }
        System.exit(0);
    }

    private static JSONObject answer(JSONObject request) throws Exception {
        switch (request.getString("command")) {
            case "produce":
                return produce(request);
            case "consume":
                return consume(request);
            case "dump":
                return dump(request);
            case "sendRate":
                return JavaRates.send(producer, request);
            case "pullRate":
                return JavaRates.pull(nameServers, request);
            default:
                throw new IllegalArgumentException("unknown command");
        }
    }

    private static JSONObject produce(JSONObject request) throws Exception {
        producer.setCompressType(CompressionType.of(request.getOrDefault("compression", "ZLIB").toString()));
        List<Message> messages = new ArrayList<>();
        JSONArray given = request.getJSONArray("messages");
        for (int i = 0; i < given.size(); i++) messages.add(message(request.getString("topic"), given.getJSONObject(i)));
        List<MessageQueue> queues = producer.fetchPublishMessageQueues(request.getString("topic"));
        // All into one queue, so that their order is known.
        if (request.getBooleanValue("batch")) producer.send(messages, queues.get(0));
        else for (Message message : messages) producer.send(message, queues.get(0));
        return JSONObject.of("count", messages.size());
    }

    private static Message message(String topic, JSONObject given) {
        Message message = new Message(topic, Base64.getDecoder().decode(given.getString("body")));
        if (given.containsKey("keys")) message.setKeys(given.getString("keys"));
        if (given.containsKey("tags")) message.setTags(given.getString("tags"));
        if (given.containsKey("delayMs")) message.setDelayTimeMs(given.getLongValue("delayMs"));
        JSONObject properties = given.getJSONObject("properties");
        if (properties != null) for (String name : properties.keySet()) message.putUserProperty(name, properties.getString(name));
        return message;
    }

    private static JSONObject consume(JSONObject request) throws Exception {
        List<MessageExt> messages = new ArrayList<>();
        read(request, request.getIntValue("count"), messages::add);
        messages.sort(Comparator.comparingInt(MessageExt::getQueueId).thenComparingLong(MessageExt::getQueueOffset));
        JSONArray found = new JSONArray();
        for (MessageExt message : messages) found.add(found(message));
        return JSONObject.of("messages", found);
    }

    private static JSONObject dump(JSONObject request) throws Exception {
        long all = 0;
        for (MessageQueue queue : producer.fetchPublishMessageQueues(request.getString("topic"))) {
            all += producer.maxOffset(queue) - producer.minOffset(queue);
        }
        long count;
        try (BufferedWriter file = Files.newBufferedWriter(Path.of(request.getString("file")))) {
            count = read(request, all, message -> {
                file.write(message.getQueueId() + " " + message.getQueueOffset() + " ");
                file.write(Base64.getEncoder().encodeToString(message.getBody() == null ? new byte[0] : message.getBody()));
                file.write('\n');
            });
        }
        if (count < all) throw new IllegalStateException("only " + count + " of " + all + " messages came");
        return JSONObject.of("count", count);
    }

    private interface Visitor {
        void visit(MessageExt message) throws Exception;
    }

    /**
     * From the beginning of all queues, in order per queue, until so many messages came or the time is over. By single pulls: a lite pull consumer may
     * lose or repeat messages at its first seek, while the pull that its assignment began is under way.
     */
    @SuppressWarnings("deprecation")
    private static long read(JSONObject request, long most, Visitor visitor) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer("java-client-" + System.nanoTime());
        consumer.setNamesrvAddr(nameServers);
        consumer.start();
        try {
            long end = System.currentTimeMillis() + request.getLongValue("timeoutMs");
            Map<MessageQueue, Long> positions = new HashMap<>();
            for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(request.getString("topic"))) {
                positions.put(queue, consumer.minOffset(queue));
            }
            long count = 0;
            while (count < most && System.currentTimeMillis() < end) {
                boolean quiet = true;
                for (Map.Entry<MessageQueue, Long> position : positions.entrySet()) {
                    PullResult pulled = consumer.pull(position.getKey(), "*", position.getValue(), 256);
                    position.setValue(pulled.getNextBeginOffset());
                    if (pulled.getPullStatus() != PullStatus.FOUND) continue;
                    quiet = false;
                    for (MessageExt message : pulled.getMsgFoundList()) {
                        visitor.visit(message);
                        count++;
                    }
                }
                if (quiet) Thread.sleep(20);
            }
            return count;
        } finally {
            consumer.shutdown();
        }
    }

    private static JSONObject found(MessageExt message) {
        JSONObject found = JSONObject.of("queue", message.getQueueId(), "offset", message.getQueueOffset());
        found.put("body", Base64.getEncoder().encodeToString(message.getBody() == null ? new byte[0] : message.getBody()));
        found.put("keys", message.getKeys());
        found.put("tags", message.getTags());
        found.put("properties", message.getProperties());
        found.put("bornAtMs", message.getBornTimestamp());
        found.put("storedAtMs", message.getStoreTimestamp());
        return found;
    }
}
