// A host built on @modelcontextprotocol/sdk 1.x (handshake era only); see steps.mjs.
import { DECLARED, Replies } from "./replies.mjs";
import { commonLink, load, main } from "./steps.mjs";

const { Client } = load("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = load("@modelcontextprotocol/sdk/client/stdio.js");
const { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema, McpError } =
  load("@modelcontextprotocol/sdk/types.js");

await main(async (wanted, noted) => {
  const client = new Client({ name: "typescript1", version: "1.0.0" }, wanted.replies ? { capabilities: DECLARED } : {});
  const replies = wanted.replies && new Replies(wanted.replies, noted, (e) => new McpError(e.code, e.message));
  for (const asked of replies ? [ElicitRequestSchema, CreateMessageRequestSchema, ListRootsRequestSchema] : []) {
    client.setRequestHandler(asked, (request) => replies.to(request));
  }
  client.fallbackNotificationHandler = async ({ method, params }) => noted.add(method, params);
  const { command, args, env, cwd } = wanted;
  await client.connect(new StdioClientTransport({ command, args, env, cwd, stderr: "inherit" }));
  const about = {
    version: null, server: client.getServerVersion(), capabilities: client.getServerCapabilities(),
    instructions: client.getInstructions() ?? null,
  };
  const call = (params, options) => client.callTool(params, undefined, options);
  return { client, about, replies, link: commonLink(client, call, replies) };
});
