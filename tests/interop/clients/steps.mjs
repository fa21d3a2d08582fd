// The part that both JavaScript client drivers share: walks the steps of a plan and writes the report (see steps.py).
import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const STEP_SECONDS = 60;

// stdout is for the report alone; the SDKs write remarks with console.debug.
console.debug = console.log = console.info = console.error;

/** Loads a module of the folder named by SHACK_TEST_NODE_DIR; `import` would look beside this file. */
export const load = createRequire(path.join(process.env.SHACK_TEST_NODE_DIR, "package.json"));

export class Noted {
  all = [];
  mark = 0;
  leave = () => {};
  #waiting = [];
  add(method, params) {
    this.all.push({ method, params });
    this.#waiting = this.#waiting.filter((look) => !look());
  }
  until(method, holds) {
    const meant = (note) => note.method === method && (JSON.stringify(note.params) ?? "").includes(holds);
    return new Promise((resolve) => {
      const look = () => {
        const seen = this.all.slice(this.mark).some(meant);
        if (seen) resolve(null);
        return seen;
      };
      if (!look()) this.#waiting.push(look);
    });
  }
}

function told(error) {
  if (typeof error?.code === "number" && !(error.code < 0 && error.message === undefined)) {
    const prefix = `MCP error ${error.code}: `;
    const message = String(error.message);
    return { error: {
      code: error.code,
      message: message.startsWith(prefix) ? message.slice(prefix.length) : message,
      ...(error.data === undefined ? {} : { data: error.data }),
    } };
  }
  return { raised: `${error?.name}: ${error?.message}` };
}

function limited(promise, seconds) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function one(link, { do: word, within = STEP_SECONDS, ...step }, noted) {
  const run = async () => {
    if (word === "together") {
      return { result: await Promise.all(step.steps.map((inner) => one(link, inner, noted))) };
    }
    if (word === "series") {
      const result = [];
      for (const inner of step.steps) result.push(await one(link, inner, noted));
      return { result };
    }
    if (word === "until") return await until(link, step.step, step.holds, noted);
    if (word === "heard") return { result: await noted.until(step.method, step.holds ?? "") };
    if (word === "pause") {
      return { result: await new Promise((done) => setTimeout(() => done(null), step.seconds * 1000)) };
    }
    if (!link[word]) throw new Error(`this driver does not know the step ${word}`);
    return await link[word](step);
  };
  try {
    return await limited(run(), within);
  } catch (error) {
    return told(error);
  }
}

async function until(link, step, holds, noted) {
  for (;;) {
    const answer = await one(link, step, noted);
    if (JSON.stringify(answer).includes(holds)) return answer;
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** The calls that both SDKs spell alike; `client.callTool` differs and is handed in. */
export function commonLink(client, callTool, replies) {
  const wrap = (method) => async (step) => ({ result: await method(step) });
  return {
    tools: wrap(() => client.listTools()),
    resources: wrap(() => client.listResources()),
    templates: wrap(() => client.listResourceTemplates()),
    prompts: wrap(() => client.listPrompts()),
    read: wrap(({ uri }) => client.readResource({ uri })),
    prompt: wrap(({ name, arguments: given }) => client.getPrompt({ name, arguments: given })),
    complete: wrap(({ ref, argument, context }) =>
      client.complete({ ref, argument, ...(context ? { context: { arguments: context } } : {}) })),
    log: wrap(({ level }) => client.setLoggingLevel(level)),
    watch: wrap(({ uri }) => client.subscribeResource({ uri })),
    ping: wrap(() => client.ping()),
    call: async ({ name, arguments: given, progress, meta, cancel_at_progress: stop, cancel_when_asked: tag, once }) => {
      const heard = [];
      const giveUp = new AbortController();
      const onprogress = (note) => {
        heard.push([note.progress, note.total ?? null, note.message ?? null]);
        if (heard.length === stop) giveUp.abort("enough seen");
      };
      const options = {
        signal: giveUp.signal, ...(progress || stop ? { onprogress } : {}),
        // What is asked is the answer then, and nobody comes back with one to it.
        ...(once ? { allowInputRequired: true } : {}),
      };
      if (tag) replies.asked.until("elicitation/create", tag).then(() => giveUp.abort("was asked"));
      try {
        const result = await callTool({ name, arguments: given, ...(meta ? { _meta: meta } : {}) }, options);
        return { result, ...(progress ? { progress: heard } : {}) };
      } catch (error) {
        if (giveUp.signal.aborted) return { cancelled: true };
        throw error;
      }
    },
  };
}

/** Reads the plan named on the command line, runs `connect` for each connection, prints the report. */
export async function main(connect) {
  const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
  const report = {};
  /** The host is gone from one moment to the next; what it has seen until then is told. */
  const leave = () => {
    writeSync(1, JSON.stringify(report) + "\n");
    process.exit(0);
  };
  await Promise.all(Object.entries(plan.connections).map(async ([name, wanted]) => {
    const noted = new Noted();
    noted.leave = leave;
    report[name] = { notifications: noted.all };
    try {
      const { client, link, about, replies } = await connect(wanted, noted);
      const answers = [];
      Object.assign(report[name], about, { answers, ...(replies ? { questions: replies.asked.all } : {}) });
      for (const step of wanted.steps) {
        if (step.do !== "heard") noted.mark = noted.all.length;
        answers.push(await one(link, step, noted));
      }
      await client.close();
    } catch (error) {
      report[name].failed = told(error);
    }
  }));
  process.stdout.write(JSON.stringify(report) + "\n", () => process.exit(0));
}
