package common;

import java.io.BufferedInputStream;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.CRC32;

/** What the workload crate has, for contestants on the JVM. Its numbers are that crate's. */
public final class Workload {
    /** Event time between two readings, and a second of it, in microseconds. */
    public static final long PERIOD = 1, SECOND = 1_000_000;
    public static final long KEYS = 100_000, REACH = KEYS * PERIOD;
    /** Where latency is asked for: keys, and the length of a window in microseconds. */
    public static final long PACED_KEYS = 1_000, WINDOW = 10_000;
    public static final int CHUNK = 1024;

    private static final long[] PLACES = {
        0x9e3779b97f4a7c15L, 0xc2b2ae3d27d4eb4fL, 0x165667b19e3779f9L, 0x27d4eb2f165667c5L,
        0x852528a1cc9b4d2bL,
    };

    private Workload() {}

    /** Spreads an integer over all bits. */
    public static long mix(long x) {
        x = (x ^ (x >>> 30)) * 0xbf58476d1ce4e5b9L;
        x = (x ^ (x >>> 27)) * 0x94d049bb133111ebL;
        return x ^ (x >>> 31);
    }

    public static int key(long index, long keys) {
        return (int) (((mix(index) >>> 32) * keys) >>> 32);
    }

    public static int value(long index) {
        return (int) (mix(index) & 0xff);
    }

    /** The hash of a row of up to five words; times are in nanoseconds there. */
    public static long hash(long a, long b, long c, long d, long e) {
        return mix(a * PLACES[0] + b * PLACES[1] + c * PLACES[2] + d * PLACES[3] + e * PLACES[4]);
    }

    /** A text as a word of a row. */
    public static long text(String text) {
        CRC32 crc = new CRC32();
        crc.update(text.getBytes(StandardCharsets.UTF_8));
        return crc.getValue();
    }

    /** Readings in memory. Their times follow from their numbers. */
    public static final class Readings {
        public final int[] key;
        public final int[] value;

        public Readings(int records) {
            key = new int[records];
            value = new int[records];
            for (int index = 0; index < records; index++) {
                key[index] = Workload.key(index, KEYS);
                value[index] = Workload.value(index);
            }
        }
    }

    /** Events of NEXMark in memory, times in microseconds; what there is no room for is rounded. */
    public static final class Events {
        public static final byte PERSON = 0, AUCTION = 1, BID = 2;
        public final byte[] kind;
        /** Id of a person or an auction; the auction of a bid. */
        public final long[] id;
        public final long[] at;
        /** Seller or bidder; category or price; last microsecond of an auction, or a phrase. */
        public final long[] who, what, more;
        public final String[] name, city, state;

        /** Reads what the binary `events` of the workload crate wrote. */
        public Events(Path path, int records) throws IOException {
            kind = new byte[records];
            id = new long[records];
            at = new long[records];
            who = new long[records];
            what = new long[records];
            more = new long[records];
            name = new String[records];
            city = new String[records];
            state = new String[records];
            try (DataInputStream in = new DataInputStream(
                    new BufferedInputStream(Files.newInputStream(path), 1 << 20))) {
                for (int index = 0; index < records; index++) {
                    kind[index] = in.readByte();
                    id[index] = in.readLong();
                    at[index] = in.readLong() / 1000;
                    who[index] = in.readLong();
                    what[index] = in.readLong();
                    long last = in.readLong();
                    // Bids are on whole microseconds: the last one that counts is the floor.
                    more[index] = kind[index] == AUCTION ? Math.floorDiv(last, 1000) : last;
                    if (kind[index] == PERSON) {
                        name[index] = in.readUTF();
                        city[index] = in.readUTF();
                        state[index] = in.readUTF();
                    }
                }
            }
        }
    }

    /** Latencies as they come. */
    public static final class Stamps {
        private long[] late = new long[1 << 16];
        private int count;

        public synchronized void add(long nanos) {
            if (count == late.length) {
                late = Arrays.copyOf(late, 2 * count);
            }
            late[count++] = Math.max(nanos, 0);
        }

        String line() {
            Arrays.sort(late, 0, count);
            StringBuilder line = new StringBuilder();
            String[] names = {"p50", "p90", "p99", "p999", "p9999"};
            double[] quantiles = {0.5, 0.9, 0.99, 0.999, 0.9999};
            for (int place = 0; place < names.length && count > 0; place++) {
                int rank = (int) Math.min(count - 1, Math.ceil(quantiles[place] * count) - 1);
                line.append(",\"").append(names[place]).append("_ns\":").append(late[rank]);
            }
            long most = count > 0 ? late[count - 1] : 0;
            return line.append(",\"max_ns\":").append(most).append(",\"samples\":").append(count)
                .toString();
        }
    }

    /** What a pass found. */
    public static final class Found {
        public long rows, hash;
        /** In nanoseconds, by System.nanoTime. */
        public long begun = Long.MAX_VALUE, ended;
        public Stamps stamps;

        public synchronized void add(long rows, long hash) {
            this.rows += rows;
            this.hash += hash;
        }

        public synchronized void begin() {
            begun = Math.min(begun, System.nanoTime());
        }

        public synchronized void end() {
            ended = Math.max(ended, System.nanoTime());
        }
    }

    /** One pass over the input. */
    public interface Pass {
        Found run() throws Exception;
    }

    /** What a contestant is told. */
    public static final class Args {
        public final String workload;
        public int cores = 1, records = 1 << 20, rate;
        public double seconds = 1;
        public String way = "", events = "", turns = "";

        public Args(String[] words) {
            workload = words[0];
            for (int place = 1; place + 1 < words.length; place += 2) {
                String value = words[place + 1];
                switch (words[place]) {
                    case "--cores" -> cores = Integer.parseInt(value);
                    case "--records" -> records = Integer.parseInt(value);
                    case "--rate" -> rate = Integer.parseInt(value);
                    case "--seconds" -> seconds = Double.parseDouble(value);
                    case "--way" -> way = value;
                    case "--events" -> events = value;
                    case "--turns" -> turns = value;
                    default -> throw new IllegalArgumentException(words[place]);
                }
            }
        }

        public boolean isQuery() {
            return workload.startsWith("q");
        }
    }

    /**
     * Runs a pass that is not timed, then some that are, and prints the line. Where turns are to be
     * asked for (`--turns asked`) it says that it is ready, and takes one for each line it is given.
     */
    public static void contest(String contestant, Args args, Pass pass) throws Exception {
        pass.run();
        if (!args.turns.equals("asked")) {
            turn(contestant, args, pass);
            return;
        }
        System.out.println("ready");
        System.out.flush();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        while (in.readLine() != null) {
            turn(contestant, args, pass);
        }
    }

    private static void turn(String contestant, Args args, Pass pass) throws Exception {
        boolean isPaced = args.workload.equals("latency");
        Found first = null;
        double[] took = new double[0];
        String note = "";
        long began = System.nanoTime();
        do {
            Found found = pass.run();
            took = Arrays.copyOf(took, took.length + 1);
            took[took.length - 1] = (found.ended - found.begun) / 1e9;
            if (first != null && (found.rows != first.rows || found.hash != first.hash)) {
                note = "not the same results in each pass: " + first.rows + ", " + found.rows;
            }
            first = first == null ? found : first;
        } while (!isPaced && System.nanoTime() - began < args.seconds * 1e9);
        Arrays.sort(took);
        double median = took[took.length / 2];
        long records = isPaced ? (long) (args.rate * args.seconds) : args.records;
        String late = first.stamps == null ? "" : first.stamps.line();
        System.out.printf("{\"workload\":\"%s\",\"contestant\":\"%s\",\"cores\":%d,\"records\":%d,"
            + "\"passes\":%d,\"seconds\":%.6f,\"rate\":%.1f,\"rows\":%d,\"hash\":\"%016x\"%s,"
            + "\"note\":\"%s\"}%n", args.workload, contestant, args.cores, records, took.length,
            median, records / median, first.rows, first.hash, late, note);
        System.out.flush();
    }

    /** Says that there is nothing to be printed, and why. */
    public static void leftOut(String contestant, String workload, String why) {
        String text = String.valueOf(why).replace("\\", "\\\\").replace("\"", "'").replace('\n', ' ');
        System.out.printf("{\"workload\":\"%s\",\"contestant\":\"%s\",\"left_out\":\"%s\"}%n",
            workload, contestant, text);
    }
}
