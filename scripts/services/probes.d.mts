/** Nothing when the server at the address answers as one that is ready; else why not. */
export function probe(address: string, timeoutMs?: number): Promise<string | undefined>
