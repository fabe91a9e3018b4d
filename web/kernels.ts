// The package's kernels, compiled to WebAssembly: the one file that knows it. All else sees functions of
// arrays of numbers.
import compressed from "./generated/kernels.deflate";
import { bytes, decode, encode, round, type Dtype } from "./formats";

export type Name =
    | "softsign"
    | "derivative"
    | "inverse"
    | "second_derivative"
    | "antiderivative"
    | "second_antiderivative"
    | "log_jacobian"
    | "gradient"
    | "gradient_from_output"
    | "nth_derivative";
export type Segment = "segment_mean" | "segment_ramp" | "segment_moments";

interface Exports {
    memory: WebAssembly.Memory;
    _initialize(): void;
    arguments(i: number): number;
    [name: string]: any;
}

const TYPES: Record<Dtype, number> = { float16: 0, bfloat16: 1, float32: 2, float64: 3 }; // functions.h's
const BLOCK = 1 << 16; // wasm.cpp's

/** Compute on raw memory: `a` and `b` hold elements of `dtype` (int64 orders in `a` for nth_derivative). Of
 * segment_moments, the three results stand one after the other. */
export class Native {
    private readonly exports: Exports;

    constructor(readonly module: WebAssembly.Module) {
        this.exports = new WebAssembly.Instance(module).exports as unknown as Exports;
        this.exports._initialize();
    }

    apply(name: Name | Segment, dtype: Dtype, a: Uint8Array, b: Uint8Array = a): Uint8Array {
        const size = bytes(dtype);
        const sizes = [name === "nth_derivative" ? 8 : size, size];
        const count = b.length / size;
        const results = name === "segment_moments" ? 3 : 1;
        const result = new Uint8Array(results * b.length);
        for (let start = 0; start < count; start += BLOCK) {
            const n = Math.min(BLOCK, count - start);
            [a, b].forEach((argument, i) => {
                const part = argument.subarray(start * sizes[i]!, (start + n) * sizes[i]!);
                new Uint8Array(this.exports.memory.buffer).set(part, this.exports.arguments(i));
            });
            this.exports[name](TYPES[dtype], n);
            for (let i = 0; i < results; ++i) {
                const out = this.exports.arguments(2 + i);
                result.set(new Uint8Array(this.exports.memory.buffer, out, n * size), i * b.length + start * size);
            }
        }
        return result;
    }
}

/** Where WebAssembly or its vectors are missing: the formulas in float64, with one more rounding. */
const FORMULAS: Record<Name, (x: number, second: number) => number> = {
    softsign: (x) => (Math.abs(x) === Infinity ? Math.sign(x) : x / (1 + Math.abs(x))),
    derivative: (x) => (1 + Math.abs(x)) ** -2,
    inverse: (y) => y / (1 - Math.abs(y)),
    second_derivative: (x) => -2 * Math.sign(x) * (1 + Math.abs(x)) ** -3,
    antiderivative: (x) => Math.abs(x) - Math.log1p(Math.abs(x)),
    second_antiderivative: (x) => {
        const u = Math.abs(x);
        return Math.sign(x) * ((u * u) / 2 + u - (1 + u) * Math.log1p(u));
    },
    log_jacobian: (x) => -2 * Math.log1p(Math.abs(x)),
    gradient: (x, dy) => dy * (1 + Math.abs(x)) ** -2,
    gradient_from_output: (y, dy) => dy * (1 - Math.abs(y)) ** 2,
    nth_derivative: (x, n) => {
        if (n === 0) return FORMULAS.softsign(x, 0);
        let factor = n % 2 ? 1 : -Math.sign(x);
        for (let i = 2; i <= n; ++i) factor *= i;
        return factor * (1 + Math.abs(x)) ** (-1 - n);
    },
};

/** The moments of softsign as it rises from `low` to `high`, 0 <= low <= high: the mean, m1 and -m2, as in segments.h. */
function rise(low: number, high: number): [number, number, number] {
    const half = (high - low) / 2;
    const w = 1 + low + half;
    const r = half / w;
    const z = r * r;
    if (z > 0.5) {
        const artanh = Math.log((1 + high) / (1 + low)) / 2;
        const g = (artanh / r - 1) / r;
        return [1 - artanh / half, g / w, ((1.5 * g) / r - (0.5 * artanh) / r) / w];
    }
    let H = 0;
    for (let k = 50; k >= 0; --k) H = H * z + 1 / (2 * k + 7);
    const B = 1 / 3 + z * (1 / 5 + z * H);
    return [(low + half - z * B) / w, (r * B) / w, (z * (2 / 15 + z * (H * (1.5 - z / 2) - 0.1))) / w];
}

/** The three moments along the segment from a to b, both finite. */
function moments(a: number, b: number): [number, number, number] {
    const sign = Math.sign(b) || Math.sign(a);
    const [x, y] = [Math.abs(a), Math.abs(b)];
    if (a * b >= 0) {
        const [mean, slope, curve] = rise(Math.min(x, y), Math.max(x, y));
        return [sign * mean, sign * (x > y ? -slope : slope), -sign * curve];
    }
    const [p, q] = [x / (x + y), y / (x + y)];
    const [to, from] = [rise(0, y), rise(0, x)];
    const sum = to[0] + from[0];
    return [
        sign * (q * to[0] - p * from[0]),
        sign * (q * q * to[1] + p * p * from[1] + p * q * sum),
        sign * (p ** 3 * from[2] - q ** 3 * to[2] + p * q * (3 * (q * to[1] - p * from[1]) + (p - q) * sum)),
    ];
}

export class Kernels {
    constructor(readonly native: Native | null) {}

    /** f(x), f(x, dy) or, for nth_derivative, f(order, x); `second` is dy or the order. */
    call(name: Name, x: ArrayLike<number>, dtype: Dtype = "float64", second = 0): Float64Array {
        if (!this.native) {
            const formula = FORMULAS[name];
            return Float64Array.from(x, (value) => round(formula(round(value, dtype), second), dtype));
        }
        const values = encode(x, dtype);
        if (name === "nth_derivative") {
            const orders = new BigInt64Array(x.length).fill(BigInt(second));
            return decode(this.native.apply(name, dtype, new Uint8Array(orders.buffer), values), dtype);
        }
        const other = name.startsWith("gradient") ? encode(new Float64Array(x.length).fill(second), dtype) : values;
        return decode(this.native.apply(name, dtype, values, other), dtype);
    }

    /** Of softsign along each segment from a to b: the mean, and the moments that say how it leans and bends. */
    moments(a: ArrayLike<number>, b: ArrayLike<number>): [Float64Array, Float64Array, Float64Array] {
        const flat = new Float64Array(3 * a.length);
        if (this.native) flat.set(decode(this.native.apply("segment_moments", "float64", encode(a, "float64"), encode(b, "float64")), "float64"));
        else for (let i = 0; i < a.length; ++i) moments(a[i]!, b[i]!).forEach((value, j) => (flat[j * a.length + i] = value));
        return [0, 1, 2].map((j) => flat.subarray(j * a.length, (j + 1) * a.length)) as [Float64Array, Float64Array, Float64Array];
    }

    one(name: Name, x: number, dtype: Dtype = "float64", second = 0): number {
        return this.call(name, [x], dtype, second)[0]!;
    }
}

/** Unpack what the build has packed. */
export async function inflate(packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Start the kernels; without WebAssembly's vectors (browsers before 2021), the formulas. */
export async function load(): Promise<Kernels> {
    try {
        return new Kernels(new Native(await WebAssembly.compile(await inflate(compressed))));
    } catch {
        return new Kernels(null);
    }
}
