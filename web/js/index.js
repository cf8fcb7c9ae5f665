// The first page: how a person gets help.

import { find } from "./dom.js";
import { copyButton, setUp } from "./page.js";

setUp({ title: "help.title" });
const command = find("#command", HTMLElement);
command.textContent = `ayuda-agent --broker ${location.origin} --text`;
command.after(copyButton(() => command.textContent ?? ""));
