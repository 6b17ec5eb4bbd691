// Anthropic's SDK for Node, as an app uses it.
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { FOUND, PARAMETERS, Place, classes, remote, spared } from './common.mjs';

const TOOLS = [{ name: 'look_up', input_schema: PARAMETERS }];

const clientOf = (ask) => new Anthropic({ baseURL: ask.url, apiKey: ask.key, ...spared(ask) });
const says = ({ prompt }) => [{ role: 'user', content: prompt }];
const asked = (ask, more = {}) => ({ model: ask.model, max_tokens: 256, messages: says(ask), ...more });

const usage = ({ input_tokens, output_tokens }) => ({ input: input_tokens, output: output_tokens });
const textOf = ({ content }) => content.filter(({ type }) => type === 'text').map(({ text }) => text);
const callsOf = ({ content }) =>
  content.filter(({ type }) => type === 'tool_use').map(({ id, name, input }) => ({ id, name, arguments: input }));
const returned = (ask, message) => [
  ...says(ask),
  { role: 'assistant', content: message.content },
  { role: 'user', content: callsOf(message).map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: FOUND })) },
];

export const describe = (error) => ({
  kinds: classes(error),
  status: error.status ?? null,
  code: error.errorCode ?? error.error?.error?.code ?? null,
  message: error.message,
  body: error.error ?? null,
  headers: Object.fromEntries(error.headers ?? []),
});

const messages = {
  async chat(ask, heard) {
    const message = await clientOf(ask).messages.create(asked(ask));
    heard.push(...textOf(message));
    return usage(message.usage);
  },

  async stream(ask, heard) {
    const events = clientOf(ask).messages.stream(asked(ask));
    events.on('text', (piece) => heard.push(piece));
    const message = await events.finalMessage();
    return { ...usage(message.usage), whole: textOf(message).join('') };
  },

  async tools(ask, heard) {
    const client = clientOf(ask);
    const first = await client.messages.create(asked(ask, { tools: TOOLS }));
    const second = await client.messages.create(asked(ask, { tools: TOOLS, messages: returned(ask, first) }));
    heard.push(...textOf(second));
    return { calls: callsOf(first), finish: first.stop_reason };
  },

  async tools_stream(ask, heard) {
    const client = clientOf(ask);
    const first = await client.messages.stream(asked(ask, { tools: TOOLS })).finalMessage();
    const second = client.messages.stream(asked(ask, { tools: TOOLS, messages: returned(ask, first) }));
    second.on('text', (piece) => heard.push(piece));
    await second.finalMessage();
    return { calls: callsOf(first), finish: first.stop_reason };
  },

  async structured(ask, heard) {
    const message = await clientOf(ask).messages.parse(asked(ask, { output_config: { format: zodOutputFormat(Place) } }));
    heard.push(...textOf(message));
    return { value: message.parsed_output };
  },

  async image(ask, heard) {
    const source = remote(ask) ? { type: 'url', url: ask.image } : { type: 'base64', media_type: 'image/png', data: ask.image };
    const content = [{ type: 'text', text: ask.prompt }, { type: 'image', source }];
    heard.push(...textOf(await clientOf(ask).messages.create(asked(ask, { messages: [{ role: 'user', content }] }))));
    return {};
  },

  async image_url(ask, heard) {
    return messages.image(ask, heard);
  },

  async models(ask) {
    const ids = [];
    for await (const model of clientOf(ask).models.list()) ids.push(model.id);
    return { ids };
  },

  async count(ask) {
    return { tokens: (await clientOf(ask).messages.countTokens({ model: ask.model, messages: says(ask) })).input_tokens };
  },
};

export const clients = { 'anthropic-node': messages };
