// What the user, the model and the workspace of a JavaScript host say when a server asks (see replies.py).
import { Noted } from "./steps.mjs";

const NOBODY = { error: { code: -32000, message: "no rule of the plan fits this question" } };
export const DECLARED = { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } };

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

export class Replies {
  asked = new Noted();
  #rules;
  #noted;
  #failure;
  /** `failure` makes this SDK's error with a code. */
  constructor(rules, noted, failure) {
    this.#rules = rules;
    this.#noted = noted;
    this.#failure = failure;
  }
  async to({ method, params = null }) {
    this.asked.add(method, params);
    const text = JSON.stringify(params);
    const fits = (rule) => (rule.method ?? method) === method && text.includes(rule.holds ?? "");
    const rule = this.#rules.find(fits) ?? NOBODY;
    if (rule.once_gone) await gone(text);
    if (rule.never) await new Promise(() => {});
    await pause(rule.after ?? 0);
    if (rule.leave) this.#noted.leave();
    if (rule.throw !== undefined) throw new Error(rule.throw);
    if (rule.error) throw this.#failure(rule.error);
    return rule.answer;
  }
}

async function gone(text) {
  const pid = Number(/process (\d+)/.exec(text)[1]);
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await pause(0.02);
  }
}
