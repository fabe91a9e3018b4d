// The figures in the pages of the documentation.
import figure from "./figure.css";
import palette from "./generated/palette.css";
import { mountAll } from "./mount";

const style = document.createElement("style");
style.textContent = palette + figure;
document.head.append(style);
if (document.querySelector("[data-figure]")) void mountAll();
