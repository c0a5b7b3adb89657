// The router as an Azure Container App that enters its Azure OpenAI resource with a managed identity: no key anywhere.
// Steps: docs/deployment.md.

@description('Name of the app and prefix of what it needs.')
param name string = 'model-router'

param location string = resourceGroup().location

@description('Image of the router, with its tag or digest.')
param image string

@description('Name of the Azure OpenAI (Foundry) account in this resource group.')
param openAiAccount string

@description('The configuration, router.toml. Callers need keys in it ([keys.NAME]).')
@secure()
param config string

@description('Name of the endpoint in the configuration that uses the managed identity: NAME of [endpoints.NAME.identity].')
param identityEndpoint string = 'main'

@description('Secrets that the configuration reads from files in /mnt/secrets: name and Key Vault URI of each.')
param keyVaultSecrets array = []

@description('Name of the Key Vault of those secrets, in this resource group; empty without any.')
param keyVaultName string = ''

@description('Reachable from outside of the environment.')
param external bool = false

@minValue(1)
param minReplicas int = 1

@minValue(1)
param maxReplicas int = 1

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: name
  location: location
}

resource account 'Microsoft.CognitiveServices/accounts@2024-10-01' existing = {
  name: openAiAccount
}

// Cognitive Services OpenAI User: may send requests, may change nothing.
var openAiUser = '5e0bd9bd-7b93-4f28-af87-19fc36ad61bd'

resource maySend 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, identity.id, openAiUser)
  scope: account
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', openAiUser)
  }
}

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = if (!empty(keyVaultName)) {
  name: keyVaultName
}

// Key Vault Secrets User.
var secretsUser = '4633458b-17de-408a-b874-0445c86b69e6'

resource mayRead 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(keyVaultName)) {
  name: guid(keyVaultName, identity.id, secretsUser)
  scope: vault
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)
  }
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: name
  location: location
  properties: {
    sku: {
      name: 'PerGB2018'
    }
  }
}

resource environment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: name
  location: location
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: logs.properties.customerId
        sharedKey: logs.listKeys().primarySharedKey
      }
    }
  }
}

var vaultSecrets = [
  for secret in keyVaultSecrets: {
    name: secret.name
    keyVaultUrl: secret.uri
    identity: identity.id
  }
]

resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: name
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    environmentId: environment.id
    configuration: {
      ingress: {
        external: external
        targetPort: 8080
        transport: 'auto'
      }
      secrets: concat(
        [
          {
            name: 'router-toml'
            value: config
          }
        ],
        vaultSecrets
      )
    }
    template: {
      // Requests under way get this long to end: answers of reasoning models take minutes.
      terminationGracePeriodSeconds: 150
      containers: [
        {
          name: 'router'
          image: image
          args: [
            'serve'
            '--config'
            '/mnt/secrets/router-toml'
          ]
          env: [
            {
              name: 'ROUTER__SERVER__LISTEN'
              value: '0.0.0.0:8080'
            }
            {
              name: 'ROUTER__SERVER__DRAIN_MS'
              value: '120000'
            }
            // The app has a user-assigned identity only, which the platform wants to be named.
            {
              name: 'ROUTER__ENDPOINTS__${toUpper(identityEndpoint)}__IDENTITY__CLIENT_ID'
              value: identity.properties.clientId
            }
          ]
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          probes: [
            {
              type: 'Liveness'
              httpGet: {
                path: '/healthz'
                port: 8080
              }
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/readyz'
                port: 8080
              }
              periodSeconds: 3
            }
          ]
          volumeMounts: [
            {
              volumeName: 'secrets'
              mountPath: '/mnt/secrets'
            }
          ]
        }
      ]
      volumes: [
        {
          name: 'secrets'
          storageType: 'Secret'
        }
      ]
      scale: {
        minReplicas: minReplicas
        maxReplicas: maxReplicas
        rules: [
          {
            name: 'requests'
            http: {
              metadata: {
                concurrentRequests: '200'
              }
            }
          }
        ]
      }
    }
  }
  dependsOn: [
    maySend
  ]
}

output url string = 'https://${app.properties.configuration.ingress.fqdn}'
output clientId string = identity.properties.clientId
