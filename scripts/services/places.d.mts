/** The folder with initdb and postgres of the newest PostgreSQL that is installed. */
export function postgresFolder(): string
/** The account a server runs as when we are root; undefined when we are not. */
export function account(name: string): { readonly uid: number; readonly gid: number } | undefined
