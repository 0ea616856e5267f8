package org.abyssal;

/**
 * What a device is.
 *
 * @param backend name of its backend
 * @param name such as the processor's model name
 * @param isa instruction sets in use, such as "avx2 avx512 avx512_bf16"
 * @param threads worker threads, the calling one included; 0 for a device that has none
 * @param memoryBytes memory of the device that this process may use; 0 if unknown
 */
public record DeviceInfo(
    String backend,
    String name,
    String isa,
    int threads,
    long memoryBytes) {}
