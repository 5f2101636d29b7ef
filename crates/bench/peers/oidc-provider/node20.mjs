// oidc-provider 9 is written for Node 22. All that it misses in Node 20 is this function of the URL standard.
URL.parse ??= (url, base) => {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
};
