// Ways into an API server that no node uses, and that bring a megabyte of libraries: the bundle refuses them by name.
const refuse = (name) => {
  throw new Error(`the agent does not support ${name}; use a token, a client certificate or an exec plugin`)
}
const provider = (name) =>
  class {
    isAuthProvider(user) {
      return user.authProvider?.name === name
    }
    applyAuthentication() {
      refuse(`the auth-provider "${name}" of a kubeconfig`)
    }
  }
export const AzureAuth = provider('azure')
export const GoogleCloudPlatformAuth = provider('gcp')
export const OpenIDConnectAuth = provider('oidc')
export function SocksProxyAgent() {
  refuse('a SOCKS proxy-url')
}
export const SocksClient = SocksProxyAgent
// Generated clients of the whole API, which nothing here makes.
export const createConfiguration = () => refuse('generated API clients')
export const ServerConfiguration = SocksProxyAgent
export const setHeaderMiddleware = createConfiguration
