// What the scripts share: the tool, the shape of structured output, and how an image is named.
import { z } from 'zod';

export const FOUND = 'Bert, bert@example.org';
export const PARAMETERS = {
  type: 'object',
  properties: { of: { type: 'string' }, at: { type: 'number' } },
  required: ['of', 'at'],
  additionalProperties: false,
};
export const Lookup = z.object({ of: z.string(), at: z.number() });
export const Place = z.object({ city: z.string(), mail: z.string() });

// The names of an error's class and of those above it.
export const classes = (error) => {
  const names = [];
  for (let each = Object.getPrototypeOf(error); each && each !== Object.prototype; each = Object.getPrototypeOf(each)) names.push(each.constructor.name);
  return names;
};

export const spared = ({ retries }) => (retries === null ? {} : { maxRetries: retries });
export const remote = ({ image }) => image.startsWith('https:');
export const picture = (ask) => (remote(ask) ? ask.image : `data:image/png;base64,${ask.image}`);
