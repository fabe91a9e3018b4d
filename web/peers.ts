// Other functions beside softsign, in float64.
import { COLORS } from "./plot";

/** 1 - erf(x) for x >= 0: a series, and beyond 2 a continued fraction; ten digits. */
export function erfc(x: number): number {
    if (x < 2) {
        let [term, sum] = [x, x];
        for (let n = 1; n < 60; ++n) sum += (term *= (-x * x) / n) / (2 * n + 1);
        return 1 - (2 / Math.sqrt(Math.PI)) * sum;
    }
    let fraction = x;
    for (let n = 60; n > 0; --n) fraction = x + n / 2 / fraction;
    return Math.exp(-x * x) / (fraction * Math.sqrt(Math.PI));
}
export const erf = (x: number): number => Math.sign(x) * (1 - erfc(Math.abs(x)));
export const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

export interface Peer {
    name: string; // as labels have it
    formula: string;
    f: (x: number) => number;
    slope?: number; // at 0, of those that rise from -1 to 1
    color: string;
    dash?: string; // of those that share a color
}
/** The twelve, by the name that a link has. */
export const PEERS = {
    tanh: { name: "tanh", formula: "tanh x", f: Math.tanh, slope: 1, color: COLORS[1] },
    arctan: { name: "arctan", formula: "2/π · arctan x", f: (x) => (2 / Math.PI) * Math.atan(x), slope: 2 / Math.PI, color: COLORS[2] },
    isru: { name: "ISRU", formula: "x / √(1 + x²)", f: (x) => x / Math.hypot(1, x), slope: 1, color: COLORS[3] },
    erf: { name: "erf", formula: "erf x", f: erf, slope: 2 / Math.sqrt(Math.PI), color: COLORS[4] },
    gudermann: { name: "Gudermannian", formula: "4/π · arctan tanh(x/2)", f: (x) => (4 / Math.PI) * Math.atan(Math.tanh(x / 2)), slope: 2 / Math.PI, color: COLORS[5] },
    hard: { name: "hard tanh", formula: "x cut off at ±1", f: (x) => Math.max(-1, Math.min(1, x)), slope: 1, color: COLORS[7] },
    elliot2: { name: "elliot2sig", formula: "x|x| / (1 + x²)", f: (x) => (x * Math.abs(x)) / (1 + x * x), color: COLORS[8] },
    logistic: { name: "logistic", formula: "1 / (1 + e⁻ˣ)", f: logistic, color: COLORS[6] },
    relu: { name: "ReLU", formula: "max(x, 0)", f: (x) => Math.max(x, 0), color: COLORS[1], dash: "6 3" },
    softplus: { name: "softplus", formula: "log(1 + eˣ)", f: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), color: COLORS[2], dash: "6 3" },
    gelu: { name: "GELU", formula: "x (1 + erf(x/√2)) / 2", f: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2, color: COLORS[3], dash: "6 3" },
    silu: { name: "SiLU", formula: "x / (1 + e⁻ˣ)", f: (x) => x * logistic(x), color: COLORS[4], dash: "6 3" },
} satisfies Record<string, Peer>;
export type PeerName = keyof typeof PEERS;
