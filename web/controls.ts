// What every figure has: controls with labels, pictures with captions, what is read off, and a state in the
// URL's hash.
import { draw, short, type Chart } from "./plot";
import { parse } from "./formats";

/** The part of the URL's hash that belongs to one figure. */
export interface State {
    get(key: string): string | undefined;
    set(key: string, value: string): void;
    onChange(react: () => void): void; // by the back button or a link
}

// What the address says, or will in a moment: browsers take few changes a second. A hash without a value is a
// place on the page and changes nothing.
let address = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
let writing = 0;
addEventListener("hashchange", () => {
    if (location.hash.includes("=")) address = new URLSearchParams(location.hash.slice(1));
});

export function hashState(figure: string): State {
    return {
        get: (key) => address.get(`${figure}.${key}`) ?? undefined,
        set(key, value) {
            address.delete(`${figure}.${key}`); // so that what was set last stands last
            address.set(`${figure}.${key}`, value);
            clearTimeout(writing);
            writing = window.setTimeout(() => history.replaceState(null, "", `#${address}`), 200);
        },
        onChange: (react) => addEventListener("hashchange", react),
    };
}

/** The figure that was changed last, according to the address. */
export const lastChanged = (): string | undefined => [...address.keys()].at(-1)?.split(".")[0];

export function element<K extends keyof HTMLElementTagNameMap>(
    tag: K,
    properties: Partial<HTMLElementTagNameMap[K]> = {},
    ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
}

interface Numeric {
    key: string;
    label: string;
    value: number;
    min: number;
    max: number;
    step?: number;
    log?: boolean; // the slider runs over the logarithm
    format?: (value: number) => string;
    home?: HTMLElement; // a picture that the control belongs to; else above all of them
}

let count = 0;
const fresh = (): string => `softsign-${++count}`;

/** A figure: its controls in the order in which they are made, its pictures, and when to draw. */
export class Figure {
    private readonly controls = element("div", { className: "controls" });
    private readonly pictures = element("div", { className: "pictures" });
    private readonly readout = element("p", { className: "readout" });
    private readonly readers: (() => void)[] = [];
    private charts = new Map<HTMLElement, () => Chart>();
    private waiting = false;
    private width = 0; // for which it was drawn

    constructor(
        private readonly root: HTMLElement,
        readonly state: State,
    ) {
        root.classList.add("softsign-figure");
        this.readout.setAttribute("role", "status");
        root.replaceChildren(this.controls, this.pictures, this.readout);
        this.update();
        new ResizeObserver(() => {
            if (root.clientWidth !== this.width) this.update();
        }).observe(root);
        state.onChange(() => {
            for (const read of this.readers) read();
            this.update();
        });
    }

    /** Draw before the next frame, once however much has changed. */
    update = (): void => {
        if (this.waiting) return;
        this.waiting = true;
        requestAnimationFrame(() => {
            this.waiting = false;
            this.width = this.root.clientWidth;
            this.prepare();
            for (const [frame, chart] of this.charts) this.paint(frame, chart());
            this.onUpdate();
        });
    };
    /** What to compute before anything is drawn. */
    prepare = (): void => {};
    /** What else to do when something has changed, such as `say`. */
    onUpdate = (): void => {};

    private paint(frame: HTMLElement, chart: Chart): void {
        draw(frame.querySelector<HTMLElement>(".frame")!, chart);
        frame.querySelector("figcaption")!.textContent = chart.title;
    }

    /** Add a picture, and return it; `wide` gives it a row of its own. */
    chart(make: () => Chart, wide = false): HTMLElement {
        const frame = element("figure", { className: wide ? "wide" : "" }, element("figcaption"), element("div", { className: "frame" }));
        this.pictures.append(frame);
        this.charts.set(frame, make);
        return frame;
    }

    /** Add what is no chart, below all of them. */
    add(...nodes: Node[]): void {
        this.root.append(...nodes);
    }

    /** What is read off the pictures, in a sentence; numbers between asterisks are set off. */
    say(text: string): void {
        this.readout.replaceChildren(...text.split("*").map((part, i) => (i % 2 ? element("b", {}, part) : part)));
    }

    slider({ key, label, value: first, min, max, step, log, format = short, home }: Numeric): () => number {
        const steps = 200;
        const input = element("input", { type: "range", id: fresh() });
        const [low, high] = log ? [0, steps] : [min, max];
        Object.assign(input, { min: String(low), max: String(high), step: String(log ? 1 : (step ?? "any")) });
        const output = element("output");
        output.htmlFor.add(input.id);
        let value = first;
        const round = (x: number): number => Number(x.toPrecision(3));
        const show = (): void => {
            input.value = String(log ? (steps * Math.log(value / min)) / Math.log(max / min) : value);
            output.textContent = format(value);
            input.setAttribute("aria-valuetext", format(value));
        };
        const read = (): void => {
            const given = parse(this.state.get(key) ?? String(first));
            value = Number.isNaN(given) ? first : Math.min(max, Math.max(min, given));
            show();
        };
        input.addEventListener("input", () => {
            const at = Number(input.value);
            value = log ? round(min * (max / min) ** (at / steps)) : at;
            output.textContent = format(value);
            input.setAttribute("aria-valuetext", format(value));
            this.state.set(key, String(value));
            this.update();
        });
        this.place(label, [input, output], home);
        this.readers.push(read);
        read();
        return () => value;
    }

    /** A field for a number; what it cannot take is said beside it, and the last good number stays. */
    number(key: string, label: string, first: number, check: (value: number) => string | null): () => number {
        const input = element("input", { type: "text", inputMode: "decimal", id: fresh(), autocomplete: "off" });
        const alert = element("span", { className: "alert", id: fresh() });
        alert.setAttribute("role", "alert");
        input.setAttribute("aria-describedby", alert.id);
        let value = first;
        const take = (text: string): boolean => {
            const given = parse(text);
            const wrong = text.trim() === "" ? "Enter a number." : Number.isNaN(given) ? `“${text}” is not a number.` : check(given);
            alert.textContent = wrong ? `${wrong} The picture shows ${value}.` : "";
            input.setAttribute("aria-invalid", String(wrong !== null));
            if (wrong === null) value = given;
            return wrong === null;
        };
        const read = (): void => {
            const text = this.state.get(key) ?? String(first);
            input.value = text;
            take(text);
        };
        input.addEventListener("input", () => {
            if (!take(input.value)) return;
            this.state.set(key, String(value));
            this.update();
        });
        this.place(label, [input, alert]);
        this.readers.push(read);
        read();
        this.setNumber.set(key, (next) => {
            input.value = String(next);
            input.dispatchEvent(new Event("input"));
        });
        return () => value;
    }
    /** Ways to change the fields by a button, by their keys. */
    readonly setNumber = new Map<string, (value: number) => void>();

    choice<T extends string>(key: string, label: string, options: readonly (readonly [T, string])[], first: T): () => T {
        const select = element("select", { id: fresh() }, ...options.map(([value, text]) => element("option", { value }, text)));
        const read = (): void => {
            const given = this.state.get(key);
            select.value = options.some(([value]) => value === given) ? given! : first;
        };
        select.addEventListener("input", () => {
            this.state.set(key, select.value);
            this.update();
        });
        this.place(label, [select]);
        this.readers.push(read);
        read();
        return () => select.value as T;
    }

    /** Boxes to tick, several of them at once, each with a sample of its line, a border in CSS. */
    several<T extends string>(key: string, label: string, options: readonly (readonly [T, string, string])[], first: readonly T[]): () => T[] {
        const boxes = options.map(([value]) => element("input", { type: "checkbox", value, id: fresh() }));
        const group = element("fieldset", {}, element("legend", {}, label));
        boxes.forEach((box, i) => {
            const line = element("span", { className: "line" });
            line.style.borderTop = options[i]![2];
            group.append(element("span", { className: "tick" }, box, element("label", { htmlFor: box.id }, line, options[i]![1])));
        });
        const chosen = (): T[] => boxes.filter((box) => box.checked).map((box) => box.value as T);
        const read = (): void => {
            const given = this.state.get(key)?.split(",") ?? first;
            for (const box of boxes) box.checked = given.includes(box.value as T);
        };
        group.addEventListener("input", () => {
            this.state.set(key, chosen().join(","));
            this.update();
        });
        this.controls.append(group);
        this.readers.push(read);
        read();
        return chosen;
    }

    button(label: string, act: (button: HTMLButtonElement) => void): HTMLButtonElement {
        const button = element("button", { type: "button" }, label);
        button.addEventListener("click", () => act(button));
        this.controls.append(element("div", { className: "control" }, button));
        return button;
    }

    private place(label: string, parts: readonly [HTMLElement, ...HTMLElement[]], home: HTMLElement = this.controls): void {
        home.append(element("div", { className: "control" }, element("label", { htmlFor: parts[0].id }, label), ...parts));
    }
}
