// The number formats: rounding to them, their bits, and their neighbors.
export type Dtype = "float16" | "bfloat16" | "float32" | "float64";
export const DTYPES: readonly Dtype[] = ["float32", "float16", "bfloat16", "float64"];

interface Format {
    bytes: number;
    precision: number; // bits of the significand, with the leading one
    least: number; // exponent of the smallest normal number
    largest: number;
}
export const FORMATS: Record<Dtype, Format> = {
    float16: { bytes: 2, precision: 11, least: -14, largest: 65504 },
    bfloat16: { bytes: 2, precision: 8, least: -126, largest: 255 * 2 ** 120 },
    float32: { bytes: 4, precision: 24, least: -126, largest: (2 ** 24 - 1) * 2 ** 104 },
    float64: { bytes: 8, precision: 53, least: -1022, largest: Number.MAX_VALUE },
};
export const bytes = (dtype: Dtype): number => FORMATS[dtype].bytes;

const view = new DataView(new ArrayBuffer(8));

/** The exponent e of 2^e <= |x| < 2^(e+1); of a number below the normal ones, theirs. */
function exponent(x: number): number {
    view.setFloat64(0, x);
    return ((view.getUint16(0) >> 4) & 2047) - 1023;
}

/** The spacing of the numbers of a format around x. */
export function spacing(x: number, dtype: Dtype): number {
    const { precision, least } = FORMATS[dtype];
    return 2 ** (Math.max(exponent(x), least) - precision + 1);
}

/** x rounded to nearest, ties to even. */
export function round(x: number, dtype: Dtype): number {
    if (dtype === "float64" || !Number.isFinite(x) || x === 0) return x;
    if (dtype === "float32") return Math.fround(x);
    const unit = spacing(x, dtype);
    const steps = x / unit; // exact, as unit is a power of two
    let whole = Math.floor(steps);
    const rest = steps - whole;
    if (rest > 0.5 || (rest === 0.5 && whole % 2)) whole += 1;
    const rounded = whole === 0 ? steps * 0 : whole * unit; // -0 for a small negative number
    return Math.abs(rounded) > FORMATS[dtype].largest ? Math.sign(x) * Infinity : rounded;
}

/** The bits of a number of the format, as an integer. */
export function toBits(x: number, dtype: Dtype): bigint {
    if (dtype === "float64") {
        view.setFloat64(0, x);
        return view.getBigUint64(0);
    }
    if (dtype !== "float16") {
        view.setFloat32(0, x);
        return BigInt(view.getUint32(0) >>> (dtype === "bfloat16" ? 16 : 0));
    }
    const sign = Object.is(x, -0) || x < 0 ? 0x8000 : 0;
    const magnitude = Math.abs(x);
    if (Number.isNaN(x)) return 0x7e00n;
    if (magnitude === Infinity) return BigInt(sign | 0x7c00);
    const steps = magnitude / spacing(magnitude, dtype);
    const biased = Math.max(exponent(magnitude), -14) + 14;
    return BigInt(sign | (steps + biased * 1024));
}

export function fromBits(bits: bigint, dtype: Dtype): number {
    if (dtype === "float64") {
        view.setBigUint64(0, bits);
        return view.getFloat64(0);
    }
    const word = Number(bits);
    if (dtype !== "float16") {
        view.setUint32(0, dtype === "bfloat16" ? word << 16 : word);
        return view.getFloat32(0);
    }
    const sign = word & 0x8000 ? -1 : 1;
    const field = (word >> 10) & 31;
    const fraction = word & 1023;
    if (field === 31) return fraction ? NaN : sign * Infinity;
    return sign * (field ? (1024 + fraction) * 2 ** (field - 25) : fraction * 2 ** -24);
}

/** Numbers in the memory that kernels take; each is rounded to the format first. */
export function encode(x: ArrayLike<number>, dtype: Dtype): Uint8Array {
    if (dtype === "float64") return new Uint8Array(Float64Array.from(x).buffer);
    if (dtype === "float32") return new Uint8Array(Float32Array.from(x).buffer);
    const words = Uint16Array.from(x, (value) => Number(toBits(round(value, dtype), dtype)));
    return new Uint8Array(words.buffer);
}

export function decode(memory: Uint8Array, dtype: Dtype): Float64Array {
    if (dtype === "float64") return new Float64Array(memory.buffer);
    if (dtype === "float32") return Float64Array.from(new Float32Array(memory.buffer));
    return Float64Array.from(new Uint16Array(memory.buffer), (word) => fromBits(BigInt(word), dtype));
}

/** The finite number that lies `steps` numbers of the format above x, or below. */
export function neighbor(x: number, steps: number, dtype: Dtype): number {
    const top = 1n << BigInt(8 * bytes(dtype) - 1);
    const bits = toBits(x, dtype);
    const place = (bits & top ? -(bits - top) : bits) + BigInt(steps); // its rank among the numbers
    return fromBits(place < 0n ? top - place : place, dtype);
}

/** Numbers as a person reads and writes them: 1e400 is refused, as are words. */
export function parse(text: string): number {
    return text.trim() === "" ? NaN : Number(text.trim().replace("−", "-"));
}
