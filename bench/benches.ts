import { api } from './api.ts'
import { approval } from './approval.ts'
import { buses } from './buses.ts'
import type { Bench } from './lib/bench.ts'
import { memory } from './memory.ts'
import { messages } from './messages.ts'
import { ps } from './ps.ts'
import { start } from './start.ts'
import { supervision } from './supervision.ts'
import { workers } from './workers.ts'

/** In the order of the page. */
export const benches: readonly Bench[] = [ps, memory, api, start, approval, messages, buses, supervision, workers]
