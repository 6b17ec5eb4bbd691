// Vercel's AI SDK, as an app uses it, with each of its providers that a gate can stand behind.
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, Output, RetryError, StreamProviderError, embedMany, generateText, isStepCount, streamText, tool } from 'ai';
import { FOUND, Lookup, Place, remote, spared } from './common.mjs';

const openai = (ask) => createOpenAI({ baseURL: `${ask.url}/v1`, apiKey: ask.key });
const compatible = (ask) =>
  createOpenAICompatible({ name: 'gate', baseURL: `${ask.url}/v1`, apiKey: ask.key, includeUsage: true, supportsStructuredOutputs: true });
const anthropic = (ask) => createAnthropic({ baseURL: `${ask.url}/v1`, apiKey: ask.key });

const look_up = tool({ description: 'Looks somebody up.', inputSchema: Lookup, execute: async () => FOUND });
const usage = ({ inputTokens, outputTokens }) => ({ input: inputTokens, output: outputTokens });
const called = (steps) =>
  steps.flatMap(({ toolCalls }) => toolCalls).map(({ toolCallId, toolName, input }) => ({ id: toolCallId, name: toolName, arguments: input }));

// The error's own body, whichever of its kinds it is of.
const inside = (error) => {
  const body = APICallError.isInstance(error) ? error.data ?? JSON.parse(error.responseBody ?? 'null') : error.data;
  return body?.error ?? body ?? null;
};

export const describe = (error) => {
  const last = RetryError.isInstance(error) ? error.lastError : error;
  const body = APICallError.isInstance(last) && last.responseBody ? JSON.parse(last.responseBody).error : inside(last);
  return {
    kinds: [error.name, last.name],
    status: last.statusCode ?? null,
    code: (StreamProviderError.isInstance(last) ? last.code : undefined) ?? body?.details?.error_code ?? body?.code ?? null,
    message: last.message,
    body,
    headers: last.responseHeaders ?? {},
  };
};

// What an app does with a model, whichever provider gave it.
const verbsOf = (modelOf) => ({
  async chat(ask, heard) {
    const answer = await generateText({ model: modelOf(ask), prompt: ask.prompt, ...spared(ask) });
    heard.push(answer.text);
    return usage(answer.usage);
  },

  async stream(ask, heard) {
    const answer = streamText({ model: modelOf(ask), prompt: ask.prompt, ...spared(ask), onError() {} });
    for await (const part of answer.stream) {
      if (part.type === 'text-delta') heard.push(part.text);
      if (part.type === 'error') throw part.error;
    }
    return usage(await answer.usage);
  },

  async tools(ask, heard) {
    const answer = await generateText({ model: modelOf(ask), prompt: ask.prompt, tools: { look_up }, stopWhen: isStepCount(2), ...spared(ask) });
    heard.push(answer.text);
    return { calls: called(answer.steps) };
  },

  async tools_stream(ask, heard) {
    const answer = streamText({ model: modelOf(ask), prompt: ask.prompt, tools: { look_up }, stopWhen: isStepCount(2), ...spared(ask) });
    for await (const piece of answer.textStream) heard.push(piece);
    return { calls: called(await answer.steps) };
  },

  async structured(ask, heard) {
    const answer = await generateText({ model: modelOf(ask), prompt: ask.prompt, output: Output.object({ schema: Place }), ...spared(ask) });
    heard.push(answer.text);
    return { value: answer.output };
  },

  async image(ask, heard) {
    const data = remote(ask) ? new URL(ask.image) : ask.image;
    const content = [{ type: 'text', text: ask.prompt }, { type: 'file', data, mediaType: 'image/png' }];
    heard.push((await generateText({ model: modelOf(ask), messages: [{ role: 'user', content }], ...spared(ask) })).text);
    return {};
  },
});

// Where the provider hands an address on; the others' images are fetched by the SDK itself.
const addressed = (verbs) => ({ ...verbs, image_url: verbs.image });

const embedding = (modelOf) => ({
  async embed(ask) {
    return { vectors: (await embedMany({ model: modelOf(ask), values: ask.texts, ...spared(ask) })).embeddings };
  },
});

export const clients = {
  'vercel-openai-chat': { ...addressed(verbsOf((ask) => openai(ask).chat(ask.model))), ...embedding((ask) => openai(ask).embedding(ask.model)) },
  'vercel-openai-responses': addressed(verbsOf((ask) => openai(ask)(ask.model))),
  'vercel-openai-compatible': {
    ...verbsOf((ask) => compatible(ask)(ask.model)),
    ...embedding((ask) => compatible(ask).embeddingModel(ask.model)),
  },
  'vercel-anthropic': addressed(verbsOf((ask) => anthropic(ask)(ask.model))),
};
