// How does it train? A small network that learns to tell two classes of points apart, while you watch.
import { Figure, element, type State } from "../controls";
import type { Kernels } from "../kernels";
import { COLORS, GRAY, OURS, grid, short, type Point, type Series } from "../plot";
import { randomNormal, randomUniform } from "../random";
import { critical } from "../theory";

type Data = "spirals" | "circles" | "corners";
type Activation = "softsign" | "tanh" | "relu";
type Rule = "critical" | "xavier" | "torch";
interface Sample {
    x: [number, number];
    label: number; // -1 or 1
}

const BATCH = 32;
const SHOWN = 600; // updates that the page makes by itself
const HEIGHT = 310;
const SIDE = 48; // of the picture of what the network says

export function sample(data: Data, count: number): Sample[] {
    const [uniform, normal] = [randomUniform(7), randomNormal(11)];
    return Array.from({ length: count }, (_, i): Sample => {
        const label = i % 2 ? 1 : -1;
        if (data === "corners") {
            const x: [number, number] = [2 * uniform() - 1, 2 * uniform() - 1];
            return { x, label: x[0] * x[1] > 0 ? 1 : -1 };
        }
        const t = uniform();
        const radius = data === "spirals" ? 0.12 + 0.8 * t : label > 0 ? 0.3 * t : 0.6 + 0.3 * t;
        const angle = data === "spirals" ? 3 * Math.PI * t + (label > 0 ? Math.PI : 0) : 2 * Math.PI * uniform();
        return { x: [radius * Math.cos(angle) + 0.02 * normal(), radius * Math.sin(angle) + 0.02 * normal()], label };
    });
}

/** A network of layers of one width, trained by gradient descent with momentum on the logistic loss. */
export class Network {
    private readonly layers: { w: Float64Array; b: Float64Array; dw: Float64Array; db: Float64Array; from: number; to: number }[] = [];
    steps = 0;

    constructor(
        private readonly kernels: Kernels,
        private readonly activation: Activation,
        rule: Rule,
        depth: number,
        readonly width: number,
    ) {
        const normal = randomNormal(3);
        const { sigmaW, sigmaB } = rule === "critical" ? critical(0.5) : { sigmaW: rule === "xavier" ? 1 : Math.sqrt(1 / 3), sigmaB: 0 };
        for (let layer = 0; layer <= depth; ++layer) {
            const [from, to] = [layer ? width : 2, layer < depth ? width : 1];
            const w = Float64Array.from({ length: from * to }, () => (sigmaW / Math.sqrt(from)) * normal());
            const b = Float64Array.from({ length: to }, () => (layer < depth ? sigmaB * normal() : 0));
            this.layers.push({ w, b, dw: new Float64Array(from * to), db: new Float64Array(to), from, to });
        }
    }

    private activate(h: Float64Array): { y: Float64Array; slope: Float64Array } {
        if (this.activation === "softsign") return { y: this.kernels.call("softsign", h), slope: this.kernels.call("derivative", h) };
        if (this.activation === "relu") return { y: h.map((x) => Math.max(x, 0)), slope: h.map((x) => Number(x > 0)) };
        const y = h.map(Math.tanh);
        return { y, slope: y.map((value) => 1 - value * value) };
    }

    /** All that passes through the network: what each layer takes in, with the slopes there, and the output. */
    forward(x: Float64Array): { inputs: Float64Array[]; slopes: Float64Array[]; output: Float64Array } {
        const count = x.length / 2;
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

    /** One step on a batch; returns the mean loss before it. */
    step(batch: readonly Sample[], rate: number): number {
        const { inputs, slopes, output } = this.forward(Float64Array.from(batch.flatMap(({ x }) => x)));
        let loss = 0;
        let g = output.map((z, n) => {
            const margin = batch[n]!.label * z;
            loss += Math.max(-margin, 0) + Math.log1p(Math.exp(-Math.abs(margin)));
            return -batch[n]!.label / (1 + Math.exp(margin)) / batch.length;
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

export function mount(root: HTMLElement, state: State, kernels: Kernels): void {
    const figure = new Figure(root, state);
    const data = figure.choice<Data>("data", "Points", [["spirals", "two spirals"], ["circles", "two rings"], ["corners", "four corners"]], "spirals");
    const activation = figure.choice<Activation>("activation", "Activation", [["softsign", "softsign"], ["tanh", "tanh"], ["relu", "ReLU"]], "softsign");
    const rule = figure.choice<Rule>("rule", "Initialization", [["critical", "critical(0.5)"], ["xavier", "Xavier"], ["torch", "PyTorch’s default"]], "critical");
    const depth = figure.slider({ key: "depth", label: "Hidden layers", value: 4, min: 1, max: 12, step: 1 });
    const rate = figure.slider({ key: "rate", label: "Learning rate", value: 0.1, min: 0.001, max: 0.3, log: true });

    let points: Sample[] = [];
    let network = new Network(kernels, "softsign", "critical", 1, 16);
    let losses: Point[] = [];
    let made = "";
    let waiting = 0; // for the next updates
    let until = 0; // the update at which training stops
    let every = 5; // updates between two recorded losses
    let uniform = randomUniform(5);
    const restart = (): void => {
        points = sample(data(), 400);
        network = new Network(kernels, activation(), rule(), depth(), 16);
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

    const canvas = element("canvas", { width: SIDE, height: SIDE });
    const color = (name: string): number[] => {
        const probe = element("canvas", { width: 1, height: 1 }).getContext("2d")!;
        probe.fillStyle = getComputedStyle(root).getPropertyValue(name).trim();
        probe.fillRect(0, 0, 1, 1);
        return Array.from(probe.getImageData(0, 0, 1, 1).data.slice(0, 3));
    };
    /** The plane as the network sees it: colored by class, the stronger the surer. */
    const seen = (): string => {
        const places = grid(-1, 1, SIDE);
        const { output } = network.forward(Float64Array.from(places.flatMap((y) => places.flatMap((x) => [x, -y]))));
        const [paper, negative, positive] = ["--paper", "--p1", "--p0"].map(color) as [number[], number[], number[]];
        const image = new ImageData(SIDE, SIDE);
        output.forEach((z, i) => {
            const share = 0.55 * Math.abs(Math.tanh(z / 2));
            const target = z > 0 ? positive : negative;
            image.data.set([...paper.map((value, channel) => value + share * (target[channel]! - value)), 255], 4 * i);
        });
        canvas.getContext("2d")!.putImageData(image, 0, 0);
        return canvas.toDataURL();
    };
    figure.chart(() => {
        const ofClass = (label: number): Point[] => points.filter((one) => one.label === label).map(({ x }) => x);
        return {
            title: "What it has learned, place by place",
            x: { domain: [-1, 1], ticks: 3 },
            y: { domain: [-1, 1], ticks: 3 },
            square: true,
            height: HEIGHT,
            backdrop: seen(),
            marks: [
                { points: ofClass(-1), color: COLORS[1], size: 2 },
                { points: ofClass(1), color: OURS, size: 2 },
            ],
        };
    });
    figure.chart(() => ({
        height: HEIGHT,
        title: "Loss, by updates",
        x: { label: "updates" },
        y: { domain: [0, Math.max(0.8, ...losses.slice(-40).map(([, loss]) => Math.min(2, loss)))] },
        rules: { y: [Math.LN2] },
        series: [{ points: losses, color: OURS }],
        texts: [{ point: [losses[0]?.[0] ?? 0, Math.LN2], text: "guessing", color: GRAY, dy: -9, dx: 2 }],
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
        const { inputs } = network.forward(Float64Array.from(points.flatMap(({ x }) => x)));
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
    figure.prepare = () => {
        const wanted = [data(), activation(), rule(), depth(), rate()].join();
        if (wanted === made) return;
        restart();
        made = wanted;
    };
    figure.onUpdate = () => {
        button.textContent = network.steps < until ? "Stop" : "Train";
        const { output } = network.forward(Float64Array.from(points.flatMap(({ x }) => x)));
        const wrong = output.reduce((sum, z, n) => sum + Number(z * points[n]!.label <= 0), 0);
        figure.say(`After *${network.steps}* updates *${short((100 * wrong) / points.length, 3)} %* of the points are on the wrong side.`);
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
