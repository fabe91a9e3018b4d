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

interface Exports {
    memory: WebAssembly.Memory;
    _initialize(): void;
    arguments(i: number): number;
    [name: string]: any;
}

const TYPES: Record<Dtype, number> = { float16: 0, bfloat16: 1, float32: 2, float64: 3 }; // functions.h's
const BLOCK = 1 << 16; // wasm.cpp's

/** Compute on raw memory: `a` and `b` hold elements of `dtype` (int64 orders in `a` for nth_derivative). */
export class Native {
    private readonly exports: Exports;

    constructor(readonly module: WebAssembly.Module) {
        this.exports = new WebAssembly.Instance(module).exports as unknown as Exports;
        this.exports._initialize();
    }

    apply(name: Name, dtype: Dtype, a: Uint8Array, b: Uint8Array = a): Uint8Array {
        const size = bytes(dtype);
        const sizes = [name === "nth_derivative" ? 8 : size, size];
        const count = b.length / size;
        const result = new Uint8Array(b.length);
        for (let start = 0; start < count; start += BLOCK) {
            const n = Math.min(BLOCK, count - start);
            [a, b].forEach((argument, i) => {
                const part = argument.subarray(start * sizes[i]!, (start + n) * sizes[i]!);
                new Uint8Array(this.exports.memory.buffer).set(part, this.exports.arguments(i));
            });
            this.exports[name](TYPES[dtype], n);
            const out = this.exports.arguments(2);
            result.set(new Uint8Array(this.exports.memory.buffer, out, n * size), start * size);
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
