// Loaded before every test file. With KUBE2IAM_SEED set, whatever is random in a test follows it: the gate sets it from
// the commit, so that one commit always passes or always fails, and each new commit explores something new.
const seed = process.env['KUBE2IAM_SEED']
if (seed !== undefined) {
  const { configureGlobal, readConfigureGlobal } = await import('fast-check')
  configureGlobal({ ...readConfigureGlobal(), seed: Number(seed) })
}
