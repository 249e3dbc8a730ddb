import type { Claim } from './claims.ts'
import type { Requirement } from './requirements.ts'

/** What must hold of the manifest beside the claims of the tests. */
export type Expected = {
  readonly contractCounts: Readonly<Record<string, number>>
  readonly reliabilityCounts: { readonly promises: number; readonly faults: number }
  readonly issues: Readonly<Record<number, string>>
}

/** Every way in which the manifest and the tests disagree, one sentence each; empty when they agree. */
export function audit(requirements: readonly Requirement[], claims: readonly Claim[], expected: Expected): string[] {
  return [
    ...repeated(requirements),
    ...missing(requirements, expected),
    ...orphaned(requirements, expected),
    ...disagreeing(requirements, claims),
  ]
}

function repeated(requirements: readonly Requirement[]): string[] {
  const seen = new Set<string>()
  return requirements.filter((row) => seen.size === seen.add(row.id).size).map((row) => `${row.id} stands in the manifest twice`)
}

function missing(requirements: readonly Requirement[], expected: Expected): string[] {
  const ids = new Set(requirements.map((row) => row.id))
  const { promises, faults } = expected.reliabilityCounts
  const contract = Object.entries(expected.contractCounts).flatMap(([system, count]) => numbered(`${system}-`, count, 2))
  const wanted = new Set([...contract, ...numbered('P', promises, 1), ...numbered('F', faults, 2)])
  const absent = [...wanted].filter((id) => !ids.has(id)).map((id) => `${id} is missing from the manifest`)
  const invented = requirements
    .filter((row) => row.source !== 'I' && !wanted.has(row.id))
    .map((row) => `${row.id} is in the manifest but not in the count of its paper`)
  return [...absent, ...invented]
}

const numbered = (stem: string, count: number, digits: number) =>
  Array.from({ length: count }, (_, index) => stem + String(index + 1).padStart(digits, '0'))

function orphaned(requirements: readonly Requirement[], expected: Expected): string[] {
  return requirements
    .filter((row) => !(row.issue in expected.issues))
    .map((row) => `${row.id} belongs to issue ${row.issue}, which is not in the list`)
}

function disagreeing(requirements: readonly Requirement[], claims: readonly Claim[]): string[] {
  const rows = new Map(requirements.map((row) => [row.id, row]))
  const proving = claims.filter((claim) => claim.proves)
  const unknown = claims
    .filter((claim) => !rows.has(claim.id))
    .map((claim) => `${claim.file}:${claim.line} names ${claim.id}, which no promise has`)
  const lagging = proving
    .filter((claim) => rows.get(claim.id)?.status === 'planned')
    .map((claim) => `${claim.file}:${claim.line} proves ${claim.id}, which the manifest still calls planned`)
  const unproved = requirements
    .filter((row) => row.status === 'proved' && !proving.some((claim) => claim.id === row.id && (row.test ?? claim.file) === claim.file))
    .map(
      (row) =>
        `${row.id} is called proved, but no running test ${row.test === undefined ? '' : `of ${row.test} `}has [${row.id}] in its title`,
    )
  return [...unknown, ...lagging, ...unproved]
}
