// Counts, beside the page, the float32 numbers at which softsign falls: computed plainly, and by the kernels.
import { Native } from "./kernels";

// Below 2^-25, 1 + x rounds to 1, and above 2^25 to x: nothing falls there.
const FIRST = (127 - 25) << 23;
const LAST = (127 + 25) << 23;
const BLOCK = 1 << 16;

function falls(values: Float32Array, before: number): number {
    let count = 0;
    for (let i = 0; i < values.length; ++i) {
        const value = values[i]!;
        if (value < before) ++count;
        before = value;
    }
    return count;
}

onmessage = ({ data }: MessageEvent<WebAssembly.Module | null>) => {
    const native = data && new Native(data);
    const x = new Float32Array(BLOCK);
    const bits = new Int32Array(x.buffer);
    const plain = new Float32Array(BLOCK);
    let [ofPlain, ofKernels, plainBefore, kernelBefore] = [0, 0, 0, 0];
    for (let first = FIRST; first < LAST; first += BLOCK) {
        for (let i = 0; i < BLOCK; ++i) bits[i] = first + i;
        for (let i = 0; i < BLOCK; ++i) plain[i] = Math.fround(x[i]! / Math.fround(1 + x[i]!));
        ofPlain += falls(plain, plainBefore);
        plainBefore = plain[BLOCK - 1]!;
        if (native) {
            const ours = new Float32Array(native.apply("softsign", "float32", new Uint8Array(x.buffer)).buffer);
            ofKernels += falls(ours, kernelBefore);
            kernelBefore = ours[BLOCK - 1]!;
        }
        const done = (first + BLOCK - FIRST) / (LAST - FIRST);
        if ((first - FIRST) % (1 << 22) === 0 || done === 1) postMessage({ done, ofPlain, ofKernels });
    }
};
