// A host built on @modelcontextprotocol/sdk 1.x (handshake era only); see steps.mjs.
import { commonLink, load, main } from "./steps.mjs";

const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = load("@modelcontextprotocol/sdk/client/stdio.js");

await main(async (wanted, noted) => {
  const client = new Client({ name: "typescript1", version: "1.0.0" });
  client.fallbackNotificationHandler = async ({ method, params }) => noted.add(method, params);
  const { command, args, env, cwd } = wanted;
  await client.connect(new StdioClientTransport({ command, args, env, cwd, stderr: "inherit" }));
  const about = {
    version: null, server: client.getServerVersion(), capabilities: client.getServerCapabilities(),
    instructions: client.getInstructions() ?? null,
  };
  return { client, about, link: commonLink(client, (params, options) => client.callTool(params, undefined, options)) };
});
