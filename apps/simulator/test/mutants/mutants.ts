/** One deliberate break of the product, as replacements in its source. */
export interface Mutant {
  readonly name: string
  /** What goes wrong with it, in words. */
  readonly breaks: string
  readonly edits: readonly Edit[]
  /** A scenario of the library that must fail. */
  readonly caughtBy: string
}

export interface Edit {
  /** The end of the file's path. */
  readonly file: string
  readonly from: string
  readonly to: string
}

/** Every text in `from` must stand in its file once, or the mutant is out of date. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'registry: yields the former pod on reuse',
    breaks: 'the first pod that was ever seen at an address keeps it',
    edits: [
      {
        file: 'pod-registry/src/lib/pod-index.ts',
        from: 'if (known !== undefined) drop(known, update)\n      return update',
        to: 'return update',
      },
      {
        file: 'pod-registry/src/lib/pod-index.ts',
        from: 'return isList(found) ? found : [found]',
        to: 'return isList(found) ? found.slice(0, 1) : [found]',
      },
    ],
    caughtBy: '03-address-reused.yaml',
  },
  {
    name: 'broker: session key without the external ID',
    breaks: 'a pod with a wrong external ID gets the session of one with the right',
    edits: [
      { file: 'core/src/lib/grant.ts', from: 'externalId: grant.externalId ?? null', to: 'externalId: null' },
      {
        file: 'credential-broker/src/lib/same-grant.ts',
        from: 'a.externalId === b.externalId &&',
        to: '',
      },
    ],
    caughtBy: '13-external-ids.yaml',
  },
  {
    name: 'emulator: passes security-credentials-extended on',
    breaks: 'pods read the credentials of the node by the second credentials path',
    edits: [
      {
        file: 'metadata-emulator/src/lib/routes.ts',
        from: "return { name: 'role-list', extended: true }",
        to: "return { name: 'metadata', path: `${path}/`, below }",
      },
      {
        file: 'metadata-emulator/src/lib/routes.ts',
        from: 'security-credentials(-extended)?\\/(.+)$/',
        to: 'security-credentials(-none)?\\/(.+)$/',
      },
      {
        file: 'metadata-emulator/src/lib/routes.ts',
        from: "return !LISTED.has(version) || isNeverServed(below) ? NEVER : { name: 'metadata', path, below }",
        to: "return { name: 'metadata', path, below }",
      },
      {
        file: 'metadata-emulator/src/lib/metadata-allow.ts',
        from: 'allows: (below) =>',
        to: "allows: (below) => below.includes('security-credentials-extended') ||",
      },
    ],
    caughtBy: '16-paths-that-leak.yaml',
  },
  {
    name: 'policy: namespace patterns may stand anywhere in the role',
    breaks: 'a namespace that allows app gets app-admin',
    edits: [
      {
        file: 'role-policy/src/lib/pattern-engine.ts',
        from: 'compiled.testExact(text)',
        to: 'compiled.matcher(text).find()',
      },
      {
        file: 'role-policy/src/lib/role-pattern.ts',
        from: 'matches: (text) => text === source',
        to: 'matches: (text) => text.includes(source)',
      },
    ],
    caughtBy: '15-namespace-patterns.yaml',
  },
  {
    name: 'broker: renews only when the session has ended',
    breaks: 'pods get documents that are about to die',
    edits: [
      {
        file: 'credential-broker/src/lib/session-life.ts',
        from: 'renewAt: started + lifeMs / 2 - lifeMs * (LATEST + random() * (EARLY - LATEST))',
        to: 'renewAt: started + lifeMs - 10_000 - random()',
      },
    ],
    caughtBy: '10-sts-outage.yaml',
  },
  {
    name: 'registry: believes a silent watch',
    breaks: 'who has an address that moved while the watch was dead keeps getting the former pod’s identity',
    edits: [
      {
        file: 'pod-registry/src/lib/kubernetes-feed.ts',
        from: 'silenceMs = 90_000,',
        to: 'silenceMs = 900_000,',
      },
    ],
    caughtBy: '35-silent-watch-and-a-reused-address.yaml',
  },
  {
    name: 'broker: asks nobody else where STS is switched off',
    breaks: 'an account’s setting for one region takes the credentials from every pod there',
    edits: [
      {
        file: 'credential-broker/src/lib/adapt-grants.ts',
        from: "region !== 'us-east-1' ? 'us-east-1' : undefined",
        to: "region === 'us-east-1' ? 'us-east-1' : undefined",
      },
    ],
    caughtBy: '36-sts-switched-off-in-the-region.yaml',
  },
]
