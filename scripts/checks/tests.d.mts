export declare const onEitherStore: readonly string[]
export declare function hasPostgres(root: string): boolean
