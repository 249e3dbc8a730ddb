// A vitest reporter that notes, at each step of the run, what its JSON report leaves out: the files that were to run, those that
// have begun and not ended (so that what hangs can be named), and errors outside of tests.
import { writeFileSync } from 'node:fs'

export default class ProgressReporter {
  planned = []
  running = new Set()
  errors = []

  onTestRunStart(specifications) {
    this.planned = specifications.map((specification) => specification.moduleId)
    this.note()
  }

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

  onTestRunEnd(_modules, errors) {
    this.errors = errors.map((error) => String(error.message))
    this.note()
  }

  note() {
    const { planned, running, errors } = this
    writeFileSync(process.env.REGENT_TEST_PROGRESS, JSON.stringify({ planned, running: [...running], errors }))
  }
}
