/** A stream whose items come several at a time; who takes them one by one need not know. */
export class Batches<Item> implements AsyncIterable<Item> {
  readonly batches: AsyncIterable<readonly Item[]>

  constructor(batches: AsyncIterable<readonly Item[]>) {
    this.batches = batches
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item> {
    for await (const batch of this.batches) yield* batch
  }
}

/** The items of a stream as many at a time as it has; none of a batch is waited for. */
export function batchesOf<Item>(stream: AsyncIterable<Item>): AsyncIterable<readonly Item[]> {
  return stream instanceof Batches ? stream.batches : singly(stream)
}

async function* singly<Item>(stream: AsyncIterable<Item>): AsyncGenerator<readonly Item[]> {
  for await (const item of stream) yield [item]
}
