import manifest from '../package.json' with { type: 'json' }

/** Set by the bundler. */
declare const KUBE2IAM_BUILD: { readonly commit: string; readonly date: string } | undefined

const build = typeof KUBE2IAM_BUILD === 'undefined' ? { commit: 'source', date: '' } : KUBE2IAM_BUILD

/** What is running. */
export const buildInfo = { version: manifest.version, commit: build.commit, date: build.date }

/** As kube2iam prints it. */
export const versionLine = `Version: ${buildInfo.version} - Commit: ${buildInfo.commit} - Date: ${buildInfo.date}`
