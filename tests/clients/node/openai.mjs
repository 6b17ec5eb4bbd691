// OpenAI's SDK for Node, as an app uses it: chat completions and responses.
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { FOUND, PARAMETERS, Place, classes, picture, spared } from './common.mjs';

const TOOLS = [{ type: 'function', function: { name: 'look_up', parameters: PARAMETERS } }];
const FLAT_TOOLS = [{ type: 'function', name: 'look_up', parameters: PARAMETERS, strict: true }];

const clientOf = (ask) => new OpenAI({ baseURL: `${ask.url}/v1`, apiKey: ask.key, ...spared(ask) });
const says = ({ prompt }) => [{ role: 'user', content: prompt }];

export const describe = (error) => ({
  kinds: classes(error),
  status: error.status ?? null,
  code: error.code ?? null,
  message: error.message,
  body: error.error ?? null,
  headers: Object.fromEntries(error.headers ?? []),
});

// ── chat completions ──

const usage = (of) => (of ? { input: of.prompt_tokens, output: of.completion_tokens } : {});
const called = (calls) =>
  calls.map(({ id, function: made }) => ({ id, name: made.name, arguments: JSON.parse(made.arguments) }));
const returned = (calls) => [
  { role: 'assistant', tool_calls: calls.map(({ id, function: made }) => ({ id, type: 'function', function: { name: made.name, arguments: made.arguments } })) },
  ...calls.map(({ id }) => ({ role: 'tool', tool_call_id: id, content: FOUND })),
];

const chat = {
  async chat(ask, heard) {
    const answer = await clientOf(ask).chat.completions.create({ model: ask.model, messages: says(ask) });
    heard.push(answer.choices[0].message.content);
    return usage(answer.usage);
  },

  async stream(ask, heard) {
    const options = { stream: true, stream_options: { include_usage: true } };
    const chunks = await clientOf(ask).chat.completions.create({ model: ask.model, messages: says(ask), ...options });
    let told = {};
    for await (const chunk of chunks) {
      for (const { delta } of chunk.choices) if (delta.content) heard.push(delta.content);
      told = { ...told, ...usage(chunk.usage) };
    }
    return told;
  },

  async tools(ask, heard) {
    const completions = clientOf(ask).chat.completions;
    const first = await completions.create({ model: ask.model, messages: says(ask), tools: TOOLS });
    const calls = first.choices[0].message.tool_calls;
    const second = await completions.create({ model: ask.model, messages: [...says(ask), ...returned(calls)], tools: TOOLS });
    heard.push(second.choices[0].message.content);
    return { calls: called(calls), finish: first.choices[0].finish_reason };
  },

  async tools_stream(ask, heard) {
    const completions = clientOf(ask).chat.completions;
    const first = await completions.stream({ model: ask.model, messages: says(ask), tools: TOOLS }).finalChatCompletion();
    const calls = first.choices[0].message.tool_calls;
    const second = completions.stream({ model: ask.model, messages: [...says(ask), ...returned(calls)], tools: TOOLS });
    second.on('content', (piece) => heard.push(piece));
    await second.finalChatCompletion();
    return { calls: called(calls), finish: first.choices[0].finish_reason };
  },

  async structured(ask, heard) {
    const response_format = zodResponseFormat(Place, classes, 'place');
    const answer = await clientOf(ask).chat.completions.parse({ model: ask.model, messages: says(ask), response_format });
    heard.push(answer.choices[0].message.content);
    return { value: answer.choices[0].message.parsed };
  },

  async image(ask, heard) {
    const parts = [{ type: 'text', text: ask.prompt }, { type: 'image_url', image_url: { url: picture(ask) } }];
    const answer = await clientOf(ask).chat.completions.create({ model: ask.model, messages: [{ role: 'user', content: parts }] });
    heard.push(answer.choices[0].message.content);
    return {};
  },

  async image_url(ask, heard) {
    return chat.image(ask, heard);
  },

  async embed(ask) {
    const answer = await clientOf(ask).embeddings.create({ model: ask.model, input: ask.texts });
    return { vectors: answer.data.map(({ embedding }) => embedding) };
  },

  async models(ask) {
    const ids = [];
    for await (const model of clientOf(ask).models.list()) ids.push(model.id);
    return { ids };
  },

  async moderate(ask) {
    const answer = await clientOf(ask).moderations.create({ model: ask.model, input: ask.prompt });
    return { flagged: answer.results.map(({ flagged }) => flagged) };
  },

  async complete(ask, heard) {
    const answer = await clientOf(ask).completions.create({ model: ask.model, prompt: ask.prompt });
    heard.push(answer.choices[0].text);
    return usage(answer.usage);
  },

  async complete_stream(ask, heard) {
    const chunks = await clientOf(ask).completions.create({ model: ask.model, prompt: ask.prompt, stream: true });
    for await (const chunk of chunks) for (const { text } of chunk.choices) if (text) heard.push(text);
    return {};
  },
};

// ── responses ──

const tokens = (of) => (of ? { input: of.input_tokens, output: of.output_tokens } : {});
const callsOf = ({ output }) => output.filter(({ type }) => type === 'function_call');
const made = (calls) => calls.map(({ call_id, name, arguments: text }) => ({ id: call_id, name, arguments: JSON.parse(text) }));
const results = (calls) => [
  ...calls.map(({ call_id, name, arguments: text }) => ({ type: 'function_call', call_id, name, arguments: text })),
  ...calls.map(({ call_id }) => ({ type: 'function_call_output', call_id, output: FOUND })),
];

const responses = {
  async chat(ask, heard) {
    const answer = await clientOf(ask).responses.create({ model: ask.model, input: ask.prompt });
    heard.push(answer.output_text);
    return tokens(answer.usage);
  },

  async stream(ask, heard) {
    let told = {};
    for await (const event of await clientOf(ask).responses.create({ model: ask.model, input: ask.prompt, stream: true })) {
      if (event.type === 'response.output_text.delta') heard.push(event.delta);
      if (event.type === 'response.completed') {
        const whole = event.response.output.flatMap(({ content }) => content ?? []).map(({ text }) => text).join('');
        told = { ...tokens(event.response.usage), whole };
      }
    }
    return told;
  },

  async tools(ask, heard) {
    const client = clientOf(ask);
    const calls = callsOf(await client.responses.create({ model: ask.model, input: says(ask), tools: FLAT_TOOLS }));
    const second = await client.responses.create({ model: ask.model, input: [...says(ask), ...results(calls)], tools: FLAT_TOOLS });
    heard.push(second.output_text);
    return { calls: made(calls) };
  },

  async tools_stream(ask, heard) {
    const client = clientOf(ask);
    const calls = callsOf(await client.responses.stream({ model: ask.model, input: says(ask), tools: FLAT_TOOLS }).finalResponse());
    const second = client.responses.stream({ model: ask.model, input: [...says(ask), ...results(calls)], tools: FLAT_TOOLS });
    for await (const event of second) if (event.type === 'response.output_text.delta') heard.push(event.delta);
    return { calls: made(calls) };
  },

  async structured(ask, heard) {
    const answer = await clientOf(ask).responses.parse({ model: ask.model, input: ask.prompt, text: { format: zodTextFormat(Place, classes, 'place') } });
    heard.push(answer.output_text);
    return { value: answer.output_parsed };
  },

  async image(ask, heard) {
    const parts = [{ type: 'input_text', text: ask.prompt }, { type: 'input_image', image_url: picture(ask), detail: 'auto' }];
    heard.push((await clientOf(ask).responses.create({ model: ask.model, input: [{ role: 'user', content: parts }] })).output_text);
    return {};
  },

  async image_url(ask, heard) {
    return responses.image(ask, heard);
  },
};

export const clients = { 'openai-node': chat, 'openai-node-responses': responses };
