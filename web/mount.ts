// Puts the figures into a page: into each element that names one.
import { element, hashState, type State } from "./controls";
import { load, type Kernels } from "./kernels";
import { mount as shape } from "./figures/function";
import { mount as tails } from "./figures/tails";
import { mount as others } from "./figures/others";
import { mount as gradient } from "./figures/gradient";
import { mount as float } from "./figures/float";
import { mount as start } from "./figures/start";
import { mount as training } from "./figures/training";
import { mount as relatives } from "./figures/relatives";
import { mount as sound } from "./figures/sound";
import { mount as elsewhere } from "./figures/elsewhere";
import { mount as today } from "./figures/today";

type Mount = (root: HTMLElement, state: State, kernels: Kernels) => void;
const FIGURES: Record<string, Mount> = { function: shape, tails, others, gradient, float, start, training, relatives, sound, elsewhere, today };

export async function mountAll(): Promise<Kernels> {
    const kernels = await load();
    const places = document.querySelectorAll<HTMLElement>("[data-figure]");
    if (!kernels.native && places[0]) {
        const text = "This browser lacks WebAssembly’s vector instructions: the numbers here are computed without the package’s kernels, by plain float64 arithmetic.";
        const banner = element("p", { className: "softsign-banner" }, text);
        banner.setAttribute("role", "alert");
        places[0].before(banner);
    }
    const mount = (place: HTMLElement): void => {
        const name = place.dataset["figure"]!;
        FIGURES[name]!(place, hashState(name), kernels);
    };
    // What is below the window waits until it comes near.
    const near = new IntersectionObserver(
        (entries) => {
            for (const { isIntersecting, target } of entries)
                if (isIntersecting) {
                    near.unobserve(target);
                    mount(target as HTMLElement);
                }
        },
        { rootMargin: "300px" },
    );
    for (const place of places) near.observe(place);
    return kernels;
}
