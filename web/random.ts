// Random numbers that are the same each time.

/** Uniform numbers from 0 to 1: mulberry32. */
export function randomUniform(seed: number): () => number {
    return () => {
        seed = (seed + 0x6d2b79f5) | 0;
        let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
}

/** Standard normal numbers, by Box and Muller. */
export function randomNormal(seed: number): () => number {
    const uniform = randomUniform(seed);
    return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
