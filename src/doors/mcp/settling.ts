/** Claims that are not settled yet: whoever asks for what they change waits for them, so that a client reads what it was just told. */
export class Settling {
  readonly #underWay = new Set<Promise<void>>()

  add(settled: Promise<void>): void {
    this.#underWay.add(settled)
    void settled.finally(() => this.#underWay.delete(settled))
  }

  async done(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }
}
