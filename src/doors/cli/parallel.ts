/** `Promise.allSettled` of the work for each item, at most so many at a time: a server has limits, and a fleet may be large. */
export async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>, most = 16): Promise<PromiseSettledResult<R>[]> {
  const results: PromiseSettledResult<R>[] = []
  const queue = [...items.entries()]
  const lane = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, item] = next
      const [settled] = await Promise.allSettled([work(item)])
      results[index] = settled
    }
  }
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, lane))
  return results
}
