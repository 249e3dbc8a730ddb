// A vitest reporter that notes, at each step of the run, which files have begun and not ended: what hangs can then be named.
import { writeFileSync } from 'node:fs'

export default class ProgressReporter {
  running = new Set()

  onTestModuleQueued(module) {
    this.running.add(module.moduleId)
    this.note()
  }

  onTestModuleEnd(module) {
    this.running.delete(module.moduleId)
    this.note()
  }

  onTestCaseReady() {
    this.note()
  }

  onTestCaseResult() {
    this.note()
  }

  note() {
    writeFileSync(process.env.REGENT_TEST_PROGRESS, [...this.running].join('\n'))
  }
}
