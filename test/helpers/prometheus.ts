/** One sample of Prometheus' text format, read strictly. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly type: string
  readonly help: string
  readonly samples: Sample[]
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/y

/**
 * Version 0.0.4 of the format, as its specification words it: HELP and TYPE once and before the samples of a family, a family in one
 * piece, no sample twice, counters that end in `_total`, histograms with rising buckets up to +Inf. Throws at the first breach.
 */
export function parseMetrics(text: string): ReadonlyMap<string, Family> {
  const families = new Map<string, Family & { type: string; help: string }>()
  const seen = new Set<string>()
  let current = ''
  if (!text.endsWith('\n')) throw new Error('the last line must end')
  for (const line of text.split('\n')) {
    if (line === '') continue
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line)
    if (comment) {
      const [, what, name = '', rest = ''] = comment
      if (!NAME.test(name)) throw new Error(`not a name: ${line}`)
      if (what === 'HELP') {
        if (families.has(name)) throw new Error(`told twice: ${name}`)
        families.set(name, { type: '', help: rest, samples: [] })
        current = name
      } else {
        const family = families.get(name)
        if (!family || name !== current || family.type !== '' || family.samples.length > 0) throw new Error(`TYPE out of place: ${line}`)
        if (!['counter', 'gauge', 'histogram'].includes(rest)) throw new Error(`not a type: ${line}`)
        family.type = rest
      }
      continue
    }
    const sample = sampleOf(line)
    const base = families.has(sample.name) ? sample.name : sample.name.replace(/_(bucket|sum|count)$/, '')
    const family = families.get(base)
    if (!family || base !== current || family.type === '') throw new Error(`a sample outside its family: ${line}`)
    if (base !== sample.name && family.type !== 'histogram') throw new Error(`not of a histogram: ${line}`)
    const key = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`
    if (seen.has(key)) throw new Error(`twice: ${line}`)
    seen.add(key)
    family.samples.push(sample)
  }
  for (const [name, { type, samples }] of families) {
    if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`${name} is a ${type}`)
    if (type === 'histogram') checkHistogram(name, samples)
  }
  return families
}

function sampleOf(line: string): Sample {
  const found = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
  if (!found) throw new Error(`not a sample: ${line}`)
  const [, name = '', inner = '', number = ''] = found
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < inner.length) {
    const label = LABEL.exec(inner)
    if (!label) throw new Error(`not labels: ${line}`)
    labels[label[1] ?? ''] = (label[2] ?? '').replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
  }
  const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number)
  if (Number.isNaN(value)) throw new Error(`not a number: ${line}`)
  return { name, labels, value }
}

function checkHistogram(name: string, samples: readonly Sample[]): void {
  const owners = new Set(samples.map(({ labels: { le: _, ...rest } }) => JSON.stringify(rest)))
  for (const owner of owners) {
    const own = samples.filter(({ labels: { le: _, ...rest } }) => JSON.stringify(rest) === owner)
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`)
    const counts = buckets.map(({ value }) => value)
    if (counts.some((count, at) => count < (counts[at - 1] ?? 0))) throw new Error(`${name}: buckets fall`)
    if (buckets.at(-1)?.labels.le !== '+Inf') throw new Error(`${name}: no bucket for all`)
    if (counts.at(-1) !== own.find((sample) => sample.name === `${name}_count`)?.value) throw new Error(`${name}: count`)
    if (!own.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${name}: sum`)
  }
}
