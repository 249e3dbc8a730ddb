// What Regent promises, as data. coverage.test.ts holds it equal to the tests; `npm test` prints how much of it is proved.
import { agentCommands } from './requirements/agent-commands.ts'
import { buses } from './requirements/buses.ts'
import { faults } from './requirements/faults.ts'
import { foundation } from './requirements/foundation.ts'
import { managerApi } from './requirements/manager-api.ts'
import { orchestratorApi } from './requirements/orchestrator-api.ts'
import { reliability } from './requirements/reliability.ts'
import type { Requirement } from './requirements/row.ts'
import { planned } from './requirements/row.ts'
import { supervision } from './requirements/supervision.ts'
import { testbed } from './requirements/testbed.ts'
import { workerTools } from './requirements/worker-tools.ts'
import { workers } from './requirements/workers.ts'

export type { Requirement } from './requirements/row.ts'

/** The issues that deliver promises. Those from 6 on are not opened yet: their numbers only keep the parts of the plan apart. */
export const issues: Readonly<Record<number, string>> = {
  2: 'foundation: skeleton, manager API, agent team',
  3: 'supervision',
  4: 'buses and PostgreSQL',
  5: 'racing workers',
  6: 'containers',
  7: 'orchestrator: conversations and tool servers',
  8: 'testbeds and workflows',
  9: 'past one machine: image, dashboard, several managers',
}

/** How many ids of the contract's checklist each system has; they run from 01 without a gap. */
export const contractCounts: Readonly<Record<string, number>> = { S0: 45, S1: 47, S2: 48, S3: 42, S4: 29, X: 1 }

/** How many rows the reliability paper has: promises P1 to P10, faults F01 to F79. */
export const reliabilityCounts = { promises: 10, faults: 79 }

export const requirements: readonly Requirement[] = [
  ...foundation,
  ...supervision,
  ...buses,
  ...reliability,
  ...faults,
  ...managerApi,
  ...agentCommands,
  ...orchestratorApi,
  ...testbed,
  ...workerTools,
  ...workers,
  planned(9, 'X-01', 'S', 'Two ports, one application; the conflicts K1 to K21 between the dialects resolved'),
]
