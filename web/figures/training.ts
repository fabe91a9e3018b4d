// How does it train? A small network that learns to tell two classes of points apart, while you watch.
import { Figure, element, type State } from "../controls";
import compressed from "../generated/digits.deflate";
import { inflate, type Kernels } from "../kernels";
import { COLORS, GRAY, OURS, grid, short, type Point, type Series } from "../plot";
import { randomNormal, randomUniform } from "../random";
import { critical, firstLayer } from "../theory";

type Data = "spirals" | "circles" | "corners" | "digits";
type Activation = "softsign" | "tanh" | "relu";
type Rule = "critical" | "xavier" | "torch";
interface Sample {
    x: readonly number[];
    label: number; // of the class: 0 or 1, or the digit
}

const BATCH = 32;
const WIDTH = 16;
const Q = 0.5;
const SHOWN = 600; // updates that the page makes by itself
const HEIGHT = 310;
const SIDE = 48; // of the picture of what the network says
const ROW = 12; // digits in a row

function inPlane(data: Data, count: number): Sample[] {
    const [uniform, normal] = [randomUniform(7), randomNormal(11)];
    return Array.from({ length: count }, (_, i): Sample => {
        const label = i % 2;
        if (data === "corners") {
            const x = [2 * uniform() - 1, 2 * uniform() - 1] as const;
            return { x, label: x[0] * x[1] > 0 ? 1 : 0 };
        }
        const t = uniform();
        const radius = data === "spirals" ? 0.12 + 0.8 * t : label ? 0.3 * t : 0.6 + 0.3 * t;
        const angle = data === "spirals" ? 3 * Math.PI * t + label * Math.PI : 2 * Math.PI * uniform();
        return { x: [radius * Math.cos(angle) + 0.02 * normal(), radius * Math.sin(angle) + 0.02 * normal()], label };
    });
}

/** The handwritten digits of scikit-learn: a byte for the digit, then 64 pixels from 0 to 16, standardized here. */
function digits(memory: Uint8Array): Sample[] {
    return Array.from({ length: memory.length / 65 }, (_, i): Sample => {
        const pixels = memory.subarray(65 * i + 1, 65 * (i + 1));
        return { x: Array.from(pixels, (pixel) => (pixel - 4.9) / 6), label: memory[65 * i]! };
    });
}

/** A network trained by gradient descent with momentum on the cross-entropy of its softmax. */
class Network {
    private readonly layers: { w: Float64Array; b: Float64Array; dw: Float64Array; db: Float64Array; from: number; to: number }[] = [];
    steps = 0;

    constructor(
        private readonly kernels: Kernels,
        private readonly activation: Activation,
        rule: Rule,
        readonly sizes: readonly number[],
        inputSecondMoment: number,
    ) {
        const normal = randomNormal(3);
        sizes.slice(1).forEach((to, layer) => {
            const from = sizes[layer]!;
            const rules = { critical: critical(Q), xavier: { sigmaW: 1, sigmaB: 0 }, torch: { sigmaW: Math.sqrt(1 / 3), sigmaB: Math.sqrt(1 / 3 / from) } };
            const { sigmaW, sigmaB } = rules[rule];
            const sigma = rule === "critical" && layer === 0 ? firstLayer(Q, inputSecondMoment) : sigmaW;
            const w = Float64Array.from({ length: from * to }, () => (sigma / Math.sqrt(from)) * normal());
            const b = Float64Array.from({ length: to }, () => sigmaB * normal());
            this.layers.push({ w, b, dw: new Float64Array(from * to), db: new Float64Array(to), from, to });
        });
    }

    private activate(h: Float64Array): { y: Float64Array; slope: Float64Array } {
        if (this.activation === "softsign") return { y: this.kernels.call("softsign", h), slope: this.kernels.call("derivative", h) };
        if (this.activation === "relu") return { y: h.map((x) => Math.max(x, 0)), slope: h.map((x) => Number(x > 0)) };
        const y = h.map(Math.tanh);
        return { y, slope: y.map((value) => 1 - value * value) };
    }

    /** All that passes through the network: what each layer takes in, with the slopes there, and the output. */
    forward(x: Float64Array): { inputs: Float64Array[]; slopes: Float64Array[]; output: Float64Array } {
        const count = x.length / this.sizes[0]!;
        const inputs = [x];
        const slopes: Float64Array[] = [];
        let h = x;
        this.layers.forEach(({ w, b, from, to }, layer) => {
            const before = inputs[layer]!;
            h = new Float64Array(count * to);
            for (let n = 0; n < count; ++n)
                for (let j = 0; j < to; ++j) {
                    let sum = b[j]!;
                    for (let i = 0; i < from; ++i) sum += w[j * from + i]! * before[n * from + i]!;
                    h[n * to + j] = sum;
                }
            if (layer === this.layers.length - 1) return;
            const { y, slope } = this.activate(h);
            inputs.push(y);
            slopes.push(slope);
        });
        return { inputs, slopes, output: h };
    }

    /** The class of the largest output, for each sample. */
    classes(samples: readonly Sample[]): number[] {
        const { output } = this.forward(flat(samples));
        const count = this.sizes.at(-1)!;
        return samples.map((_, n) => {
            const outputs = output.subarray(n * count, (n + 1) * count);
            return outputs.indexOf(Math.max(...outputs));
        });
    }

    /** One step on a batch; returns the mean loss before it. */
    step(batch: readonly Sample[], rate: number): number {
        const { inputs, slopes, output } = this.forward(flat(batch));
        const count = this.sizes.at(-1)!;
        let loss = 0;
        let g = new Float64Array(output.length);
        batch.forEach(({ label }, n) => {
            const outputs = output.subarray(n * count, (n + 1) * count);
            const highest = Math.max(...outputs);
            const powers = outputs.map((z) => Math.exp(z - highest));
            const sum = powers.reduce((total, power) => total + power, 0);
            loss += Math.log(sum) + highest - outputs[label]!;
            powers.forEach((power, i) => (g[n * count + i] = (power / sum - Number(i === label)) / batch.length));
        });
        for (let layer = this.layers.length - 1; layer >= 0; --layer) {
            const { w, b, dw, db, from, to } = this.layers[layer]!;
            const before = new Float64Array(batch.length * from);
            dw.forEach((value, i) => (dw[i] = 0.9 * value));
            db.forEach((value, i) => (db[i] = 0.9 * value));
            for (let n = 0; n < batch.length; ++n)
                for (let j = 0; j < to; ++j) {
                    const part = g[n * to + j]!;
                    db[j]! += part;
                    for (let i = 0; i < from; ++i) {
                        before[n * from + i]! += w[j * from + i]! * part;
                        dw[j * from + i]! += part * inputs[layer]![n * from + i]!;
                    }
                }
            w.forEach((value, i) => (w[i] = value - rate * dw[i]!));
            b.forEach((value, i) => (b[i] = value - rate * db[i]!));
            g = layer ? before.map((value, i) => value * slopes[layer - 1]![i]!) : before;
        }
        ++this.steps;
        return loss / batch.length;
    }
}

const flat = (samples: readonly Sample[]): Float64Array => Float64Array.from(samples.flatMap(({ x }) => x));

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const figure = new Figure(root, state);
    const data = figure.choice<Data>("data", "Data", [["spirals", "two spirals"], ["circles", "two rings"], ["corners", "four corners"], ["digits", "handwritten digits"]], "spirals");
    const activation = figure.choice<Activation>("activation", "Activation", [["softsign", "softsign"], ["tanh", "tanh"], ["relu", "ReLU"]], "softsign");
    const rule = figure.choice<Rule>("rule", "Initialization", [["critical", "critical(0.5)"], ["xavier", "Xavier"], ["torch", "PyTorch’s default"]], "critical");
    const depth = figure.slider({ key: "depth", label: "Hidden layers", value: 4, min: 1, max: 12, step: 1 });
    const rate = figure.slider({ key: "rate", label: "Learning rate", value: 0.1, min: 0.001, max: 0.3, log: true });

    let current: Data = "spirals"; // what is learned: the digits when they have been unpacked
    let written: Sample[] = []; // the digits
    let points: Sample[] = []; // learned from
    let tested: Sample[] = [];
    let network = new Network(kernels, "softsign", "critical", [2, 2], 1);
    let losses: Point[] = [];
    let made = "";
    let waiting = 0; // for the next updates
    let until = 0; // the update at which training stops
    let every = 5; // updates between two recorded losses
    let uniform = randomUniform(5);
    const restart = (): void => {
        const all = current === "digits" ? written : inPlane(current, 400);
        points = current === "digits" ? all.slice(0, 1500) : all;
        tested = current === "digits" ? all.slice(1500) : all;
        const values = flat(points);
        const second = values.reduce((sum, value) => sum + value * value, 0) / values.length;
        const sizes = [points[0]!.x.length, ...new Array<number>(depth()).fill(WIDTH), current === "digits" ? 10 : 2];
        network = new Network(kernels, activation(), rule(), sizes, second);
        losses = [];
        every = 5;
        until = SHOWN;
        uniform = randomUniform(5);
    };
    const train = (steps: number): void => {
        for (let i = 0; i < steps; ++i) {
            const batch = Array.from({ length: BATCH }, () => points[Math.floor(uniform() * points.length)]!);
            const loss = network.step(batch, rate());
            if (network.steps % every === 0) losses.push([network.steps, loss]);
            if (losses.length > 400) {
                losses = losses.filter((_, i) => i % 2);
                every *= 2;
            }
        }
    };

    const color = (name: string): number[] => {
        const probe = element("canvas", { width: 1, height: 1 }).getContext("2d")!;
        probe.fillStyle = getComputedStyle(root).getPropertyValue(name).trim();
        probe.fillRect(0, 0, 1, 1);
        return Array.from(probe.getImageData(0, 0, 1, 1).data.slice(0, 3));
    };
    /** An image of so many pixels a side, each with the share of a color on the paper. */
    const image = (side: number, pixels: (i: number) => { share: number; color: number }): string => {
        const palette = ["--paper", "--p0", "--p1", "--ink"].map(color);
        const canvas = element("canvas", { width: side, height: side });
        const made = new ImageData(side, side);
        for (let i = 0; i < side * side; ++i) {
            const { share, color } = pixels(i);
            made.data.set([...palette[0]!.map((value, channel) => value + share * (palette[color]![channel]! - value)), 255], 4 * i);
        }
        canvas.getContext("2d")!.putImageData(made, 0, 0);
        return canvas.toDataURL();
    };
    /** The plane as the network sees it: colored by class, the stronger the surer. */
    const plane = (): string => {
        const places = grid(-1, 1, SIDE);
        const { output } = network.forward(Float64Array.from(places.flatMap((y) => places.flatMap((x) => [x, -y]))));
        return image(SIDE, (i) => {
            const z = output[2 * i + 1]! - output[2 * i]!;
            return { share: 0.55 * Math.abs(Math.tanh(z / 2)), color: z > 0 ? 1 : 2 };
        });
    };
    /** Digits that it has not learned from; those in orange it takes for others. */
    const sheet = (): string => {
        const shown = tested.slice(0, ROW * ROW);
        const classes = network.classes(shown);
        return image(8 * ROW, (i) => {
            const [x, y] = [i % (8 * ROW), Math.floor(i / (8 * ROW))];
            const which = ROW * Math.floor(y / 8) + Math.floor(x / 8);
            const pixel = shown[which]!.x[8 * (y % 8) + (x % 8)]! * 6 + 4.9;
            return { share: pixel / 16, color: classes[which] === shown[which]!.label ? 3 : 2 };
        });
    };
    figure.chart(() => {
        const ofClass = (label: number): Point[] => points.filter((one) => one.label === label).map(({ x }) => [x[0]!, x[1]!]);
        const square = { square: true, height: HEIGHT } as const;
        if (current === "digits")
            return { ...square, title: "New digits: in orange what it gets wrong", backdrop: sheet(), x: { domain: [0, ROW], ticks: [] }, y: { domain: [0, ROW], ticks: [] } };
        return {
            ...square,
            title: "What it has learned, place by place",
            x: { domain: [-1, 1], ticks: 3 },
            y: { domain: [-1, 1], ticks: 3 },
            backdrop: plane(),
            marks: [
                { points: ofClass(0), color: COLORS[1], size: 2 },
                { points: ofClass(1), color: OURS, size: 2 },
            ],
        };
    });
    const guessing = (): number => Math.log(current === "digits" ? 10 : 2); // the loss of equal shares
    figure.chart(() => ({
        height: HEIGHT,
        title: "Loss, by updates",
        x: { label: "updates" },
        y: { domain: [0, 1.15 * guessing()] },
        rules: { y: [guessing()] },
        series: [{ points: losses, color: OURS }],
        texts: [{ point: [losses.at(-1)?.[0] ?? 1, guessing()], text: "guessing", color: GRAY, anchor: "end", dy: -9 }],
    }));
    const bins = 40;
    const edge = (): number => (activation() === "relu" ? 3 : 1);
    const shares = (values: Float64Array): number[] => {
        const counts = new Array<number>(bins).fill(0);
        for (const value of values) {
            const bin = Math.floor(((value + edge()) / (2 * edge())) * bins);
            counts[Math.min(bins - 1, Math.max(0, bin))]! += 1 / values.length;
        }
        return counts;
    };
    figure.chart(() => {
        const { inputs } = network.forward(flat(tested));
        const layers = inputs.slice(1);
        const series = layers.map((values, layer): Series => {
            const counts = shares(values);
            const highest = Math.max(...counts);
            return { points: counts.map((count, bin): Point => [((bin + 0.5) / bins - 0.5) * 2 * edge(), layers.length - layer + (0.85 * count) / highest]), color: layer % 2 ? COLORS[5] : OURS, width: 2 };
        });
        return {
            height: HEIGHT,
            title: "Outputs of the units, layer by layer",
            x: { label: "output", domain: [-edge(), edge()] },
            y: { label: "layer", domain: [1, layers.length + 1], ticks: layers.map((_, i) => i + 1), format: (at) => String(layers.length + 1 - at) },
            series,
        };
    });
    const button = figure.button("Train", () => {
        until = network.steps < until ? 0 : Infinity;
        figure.update();
    });
    figure.button("Start anew", () => {
        restart();
        figure.update();
    });
    // Its images have the colors of the theme in them, unlike all else that is drawn.
    new MutationObserver(figure.update).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", figure.update);
    figure.prepare = () => {
        const packed = data() === "digits" && !written.length;
        if (packed)
            void inflate(compressed).then((memory) => {
                written = digits(memory);
                figure.update();
            });
        const wanted = [packed ? "spirals" : data(), activation(), rule(), depth(), rate()].join();
        if (wanted === made) return;
        current = packed ? "spirals" : data();
        restart();
        made = wanted;
    };
    figure.onUpdate = () => {
        button.textContent = network.steps < until ? "Stop" : "Train";
        const wrong = network.classes(tested).filter((label, n) => label !== tested[n]!.label).length;
        const what = current === "digits" ? "digits that it has not seen are read wrongly" : "points are on the wrong side";
        figure.say(`After *${network.steps}* updates *${short((100 * wrong) / tested.length, 3)} %* of the ${what}.`);
        root.ariaBusy = String(network.steps < until);
        if (network.steps < until && !waiting) waiting = window.setTimeout(go);
    };
    // A hidden page draws nothing, so it waits; where motion is unwelcome, only the end is drawn.
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const go = (): void => {
        waiting = 0;
        const end = performance.now() + 25;
        while (network.steps < until && performance.now() < end) train(5);
        if (still.matches && network.steps < until) waiting = window.setTimeout(go);
        else figure.update();
    };
}
