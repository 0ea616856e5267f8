package org.abyssal;

/**
 * What a backend offers.
 *
 * @param name as given to backend(): "cpu", "reference", ...
 * @param deviceCount its devices; 0 when the hardware is missing
 */
public record BackendInfo(
    String name,
    int deviceCount) {}
