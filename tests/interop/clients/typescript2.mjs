// A host built on @modelcontextprotocol/client 2.x; `mode` is auto, legacy, or a version to pin. See steps.mjs.
import { DECLARED, Replies } from "./replies.mjs";
import { commonLink, load, main } from "./steps.mjs";

const { Client, ProtocolError } = load("@modelcontextprotocol/client");
const { StdioClientTransport } = load("@modelcontextprotocol/client/stdio");

await main(async (wanted, noted) => {
  const { command, args, env, cwd, mode = "auto" } = wanted;
  const client = new Client({ name: "typescript2", version: "1.0.0" }, {
    versionNegotiation: { mode: mode === "auto" || mode === "legacy" ? mode : { pin: mode } },
    ...(wanted.replies ? { capabilities: DECLARED } : {}),
  });
  const replies = wanted.replies && new Replies(wanted.replies, noted, (e) => new ProtocolError(e.code, e.message));
  for (const asked of replies ? ["elicitation/create", "sampling/createMessage", "roots/list"] : []) {
    client.setRequestHandler(asked, (request) => replies.to(request));
  }
  client.fallbackNotificationHandler = async ({ method, params }) => noted.add(method, params);
  await client.connect(new StdioClientTransport({ command, args, env, cwd, stderr: "inherit" }));
  const about = {
    version: client.getNegotiatedProtocolVersion(), server: client.getServerVersion() ?? null,
    capabilities: client.getServerCapabilities(), instructions: client.getInstructions() ?? null,
  };
  const link = commonLink(client, (params, options) => client.callTool(params, options), replies);
  if (client.getProtocolEra() === "modern") {
    // Each call asks for log messages by itself there, by its `meta`; a listen stays open to the end.
    link.log = async () => ({ result: {} });
    link.watch = async ({ uri }) => {
      await client.listen({ toolsListChanged: true, resourceSubscriptions: [uri] });
      return { result: {} };
    };
  }
  return { client, about, replies, link };
});
