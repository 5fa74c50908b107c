package flink;

/** A reading, or what is read of an event of NEXMark: numbers, and texts where there are any. */
public class Reading {
    public int key;
    public int value;
    public long at;

    public Reading() {}
}
