// softsign.init's theory, from the tables that the build computes with it: moments and the critical line.
import table from "./generated/theory.json";

/** A table's value at q, at its end for what lies beyond: cubic interpolation of its logarithm over log q, to seven digits. */
function at(values: readonly number[], q: number): number {
    const [first, last] = table.decades as [number, number];
    const place = (Math.min(Math.max(Math.log10(q), first), last) - first) * table.per_decade;
    const i = Math.min(Math.max(Math.floor(place), 1), values.length - 3);
    const t = place - i;
    const [a, b, c, d] = [-1, 0, 1, 2].map((step) => Math.log(values[i + step]!)) as [number, number, number, number];
    // Lagrange's cubic through the four neighbors.
    return Math.exp((-a * t * (t - 1) * (t - 2)) / 6 + (b * (t + 1) * (t - 1) * (t - 2)) / 2 - (c * (t + 1) * t * (t - 2)) / 2 + (d * (t + 1) * t * (t - 1)) / 6);
}

export const gain = table.gain;
export const critical = (q: number): { sigmaW: number; sigmaB: number } => ({ sigmaW: at(table.sigma_w, q), sigmaB: at(table.sigma_b, q) });

/** softsign.init.first_layer: the weights that bring the input to q. */
export const firstLayer = (q: number, inputSecondMoment: number): number => Math.sqrt((q - critical(q).sigmaB ** 2) / inputSecondMoment);

/** Variances of signal and gradient, layer by layer: softsign.init.depth_profile. */
export function depthProfile(depth: number, sigmaW: number, sigmaB: number, q: number): { variance: number[]; gradient: number[] } {
    const variance = [q];
    while (variance.length < depth) variance.push(sigmaW ** 2 * variance.at(-1)! * at(table.kept, variance.at(-1)!) + sigmaB ** 2);
    const gradient = [1];
    for (const before of variance.slice(0, -1).reverse()) gradient.unshift(gradient[0]! * sigmaW ** 2 * at(table.derivative_second_moment, before));
    return { variance, gradient };
}
