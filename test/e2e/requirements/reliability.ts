// The ten promises of reliability and security. Each row is proved only when the whole sentence holds as measured there;
// the first steps towards them are rows of the foundation.
import { planned, proved, type Requirement } from './row.ts'

// biome-ignore format: one promise a line
export const reliability: readonly Requirement[] = [
  proved(3, 'P1', 'P', 'Agents outlive the manager: kill -9 with 100 and 1000 agents loses none; re-adopted, logs and exit codes whole'),
  proved(4, 'P2', 'P', 'No accepted command is lost or done twice, after any single crash and for any repeated delivery'),
  proved(3, 'P3', 'P', 'No signal is ever sent to a process whose boot id, start time and pid do not all match the record'),
  proved(3, 'P4', 'P', 'Stop means all of it, in bounded time: nothing the agent started is alive within grace + 2 s'),
  proved(3, 'P5', 'P', 'Logs: nothing lost inside the kept window, disk bounded, manager memory flat, also while the manager is down'),
  planned(9, 'P6', 'P', 'One owner per agent when several managers run: lease with epoch, takeover within lease + 1 s, no late write'),
  proved(3, 'P7', 'P', 'Failure of a part is seen and told: /health answers, /readyz names the part, commands get 503 with Retry-After'),
  proved(3, 'P8', 'P', 'Disk full and database trouble do not corrupt: reads work, writes give 507/503, recovery without a restart'),
  proved(4, 'P9', 'P', 'Broker rules: reconnect with jitter, bounded outbox, no lifecycle event lost, poison to a dead letter with reason'),
  proved(2, 'P10', 'P', 'Secure by default: not reachable from other hosts, users or web pages; no secret leaks; others are 404'),
]
