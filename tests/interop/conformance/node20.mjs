// Lets the suite start on Node 20. It imports `globSync`, which `fs` has since Node 22 and which only a command needs that
// is not used here. Given to node as `--import`; where `globSync` is there, nothing changes.
import * as fs from "node:fs";
import { register } from "node:module";

const module = (text) => `data:text/javascript,${encodeURIComponent(text)}`;

if (!fs.globSync) {
  const extended = module(`
    export * from "node:fs";
    export { default } from "node:fs";
    export function globSync() { throw new Error("there is no globSync before Node 22"); }`);
  register(module(`
    export const resolve = (name, context, next) =>
      name === "fs" && context.parentURL.endsWith("/conformance/dist/index.js")
        ? { url: ${JSON.stringify(extended)}, shortCircuit: true } : next(name, context);`));
}
