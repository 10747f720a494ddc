import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The job on Kafka Streams: one worker with one thread, as `KafkaStreamsJob JSON`. Ends at SIGTERM. */
public final class KafkaStreamsJob {
    private static final String STATE = "newest";
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Keeps and hands on the newest record of each key. */
    private static final class KeepNewest implements Processor<byte[], byte[], byte[], byte[]> {
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<Bytes, byte[]> state;

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            state = given.getStateStore(STATE);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            Bytes key = Bytes.wrap(record.key());
            String modified = modified(record.value());
            byte[] known = state.get(key);
            if (known == null || modified(known).compareTo(modified) < 0) {
                state.put(key, record.value());
                context.forward(record);
            }
        }

        private static String modified(byte[] value) {
            try {
                JsonNode parsed = JSON.readTree(value);
                return parsed.get("last_modified").textValue();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    }

    public static void main(String[] arguments) throws IOException {
        JsonNode settings = JSON.readTree(arguments[0]);
        Properties properties = new Properties();
        for (Map.Entry<String, JsonNode> each : settings.get("properties").properties()) {
            properties.put(each.getKey(), each.getValue().asText());
        }
        Topology topology = new Topology();
        var bytes = Serdes.ByteArray();
        topology.addSource("source", bytes.deserializer(), bytes.deserializer(),
                settings.get("source").asText());
        topology.addProcessor("job", KeepNewest::new, "source");
        topology.addStateStore(
                Stores.keyValueStoreBuilder(
                                Stores.persistentKeyValueStore(STATE), Serdes.Bytes(), bytes)
                        .withCachingEnabled(),
                "job");
        topology.addSink("output", settings.get("output").asText(), bytes.serializer(),
                bytes.serializer(), "job");
        KafkaStreams streams = new KafkaStreams(topology, properties);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
